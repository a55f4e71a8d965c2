// The training step: the head, the updates and the norm against plain loops in double precision, and the whole step
// against its parts called one by one.
#include "../training/step.h"

#include <vector>

#include "tests.h"

namespace {

using rnnkit::HeadCall;
using rnnkit::HeadProblem;
using rnnkit::Loss;

class Numbers {
public:
    explicit Numbers(unsigned seed) : draw_(seed) {}
    double next() { return static_cast<double>(draw_.next(20001)) / 1e4 - 1; }
    template <class T>
    Array<T> array(int64_t count) {
        Array<T> made(static_cast<size_t>(count));
        for (size_t i = 0; i < made.size(); ++i) made[i] = static_cast<T>(next());
        return made;
    }
    int64_t below(int64_t limit) { return draw_.next(static_cast<unsigned>(limit)); }

private:
    Draw draw_;
};

template <class T>
double tolerance() {
    return sizeof(T) == 4 ? 2e-5 : 1e-12;
}

// Empty where all numbers are close.
template <class T>
std::string compare(const char* name, const Array<T>& found, const std::vector<double>& expected) {
    double largest = 1;
    for (double one : expected) largest = std::fmax(largest, std::abs(one));
    for (size_t i = 0; i < found.size(); ++i)
        if (!(std::abs(static_cast<double>(found[i]) - expected[i]) <= tolerance<T>() * largest))
            return std::string(" ") + name;
    return "";
}

template <class T>
struct HeadArrays {
    HeadProblem problem;
    Array<T> h, weight, bias, values, output, dh, dweight, dbias;
    Array<int64_t> labels;
    Scratch scratch;

    HeadArrays(const HeadProblem& p, bool biased, Numbers& numbers)
        : problem(p),
          h(numbers.array<T>(p.batch * p.features)),
          weight(numbers.array<T>(p.outputs * p.features)),
          bias(numbers.array<T>(biased ? p.outputs : 0)),
          values(numbers.array<T>(p.batch * p.outputs)),
          output(static_cast<size_t>(p.batch * p.outputs)),
          dh(static_cast<size_t>(p.batch * p.features)),
          dweight(static_cast<size_t>(p.outputs * p.features)),
          dbias(static_cast<size_t>(biased ? p.outputs : 0)),
          labels(static_cast<size_t>(p.batch)),
          scratch(rnnkit::head_scratch(p, sizeof(T))) {
        for (size_t b = 0; b < labels.size(); ++b) labels[b] = numbers.below(p.outputs);
    }
    HeadCall<T> call() const {
        const void* const targets = problem.loss == Loss::cross_entropy ? static_cast<const void*>(labels.get())
                                                                        : static_cast<const void*>(values.get());
        return {h.get(),  weight.get(),  bias.get(),  targets,      output.get(),
                dh.get(), dweight.get(), dbias.get(), scratch.get()};
    }
};

template <class T>
std::string wrong_head(const HeadProblem& p, bool biased, Numbers& numbers) {
    const HeadArrays<T> arrays(p, biased, numbers);
    const double loss = rnnkit::head_loss(p, arrays.call());
    rnnkit::head_gradients(p, arrays.call());
    const auto B = static_cast<size_t>(p.batch), S = static_cast<size_t>(p.features),
               C = static_cast<size_t>(p.outputs);
    std::vector<double> z(B * C), dz(B * C), dh(B * S), dweight(C * S), dbias(C);
    double total = 0;
    const double terms = static_cast<double>(p.loss == Loss::cross_entropy ? B : B * C);
    for (size_t b = 0; b < B; ++b) {
        double sum = 0;
        for (size_t c = 0; c < C; ++c) {
            double& one = z[b * C + c];
            one = biased ? static_cast<double>(arrays.bias[c]) : 0;
            for (size_t s = 0; s < S; ++s)
                one += static_cast<double>(arrays.h[b * S + s]) * static_cast<double>(arrays.weight[c * S + s]);
            sum += std::exp(one);
        }
        const auto label = static_cast<size_t>(arrays.labels[b]);
        for (size_t c = 0; c < C; ++c) {
            const double one = z[b * C + c], difference = one - static_cast<double>(arrays.values[b * C + c]);
            if (p.loss == Loss::cross_entropy) {
                dz[b * C + c] = (std::exp(one) / sum - (c == label ? 1 : 0)) / terms;
                total += c == label ? std::log(sum) - one : 0;
            } else {
                dz[b * C + c] = 2 * difference / terms;
                total += difference * difference;
            }
            dbias[c] += dz[b * C + c];
            for (size_t s = 0; s < S; ++s) {
                dh[b * S + s] += dz[b * C + c] * static_cast<double>(arrays.weight[c * S + s]);
                dweight[c * S + s] += dz[b * C + c] * static_cast<double>(arrays.h[b * S + s]);
            }
        }
    }
    const bool close = std::abs(loss - total / terms) <= tolerance<T>() * std::fmax(1, total / terms);
    return std::string(close ? "" : " loss") + compare("output", arrays.output, z) + compare("dh", arrays.dh, dh) +
           compare("dweight", arrays.dweight, dweight) + compare("dbias", arrays.dbias, dbias);
}

template <class T>
std::string wrong_updates(int64_t count, int threads, Numbers& numbers) {
    Array<T> value = numbers.array<T>(count), gradient = numbers.array<T>(count), first = numbers.array<T>(count),
             second = numbers.array<T>(count);
    std::vector<double> theta, m, v, scaled;
    double squares = 0;
    for (size_t i = 0; i < value.size(); ++i) {
        second[i] = std::abs(second[i]);
        theta.push_back(static_cast<double>(value[i]));
        m.push_back(static_cast<double>(first[i]));
        v.push_back(static_cast<double>(second[i]));
        const auto g = static_cast<double>(gradient[i]);
        squares += g * g, scaled.push_back(0.5 * g);
    }
    const rnnkit::Parameter<T> parameter{value.get(), gradient.get(), first.get(), second.get(), count};
    const rnnkit::AdamSettings adam{0.01, 0.9, 0.99, 1e-6, 0.1, true, 3};
    rnnkit::adam(adam, parameter, threads);
    for (size_t i = 0; i < theta.size(); ++i) {
        const auto g = static_cast<double>(gradient[i]);
        m[i] += 0.1 * (g - m[i]), v[i] = 0.99 * v[i] + 0.01 * g * g;
        theta[i] = theta[i] * (1 - 0.001) -
                   0.01 / (1 - 0.9 * 0.9 * 0.9) * m[i] / (std::sqrt(v[i] / (1 - 0.99 * 0.99 * 0.99)) + 1e-6);
    }
    std::string wrong = compare("adam", value, theta) + compare("m", first, m) + compare("v", second, v);
    rnnkit::sgd(rnnkit::SgdSettings{0.1, 0.8, 0.25, 0.01, true}, parameter, threads);
    for (size_t i = 0; i < theta.size(); ++i) {
        double g = static_cast<double>(gradient[i]) + 0.01 * theta[i];
        m[i] = 0.8 * m[i] + 0.75 * g;
        g += 0.8 * m[i];
        theta[i] -= 0.1 * g;
    }
    wrong += compare("sgd", value, theta) + compare("momentum", first, m);
    const double found = rnnkit::sum_of_squares(gradient.get(), count);
    if (!(std::abs(found - squares) <= tolerance<T>() * std::fmax(1, squares))) wrong += " sum of squares";
    rnnkit::scale(gradient.get(), count, 0.5);
    return wrong + compare("scaled", gradient, scaled);
}

// Two layers and a head, their weights and the gradients of these.
template <class T>
struct Network {
    int64_t input = 5, hidden = 19, outputs = 4;
    Kernel kernel;
    std::vector<Array<T>> weights, gradients;
    Array<T> head, dhead, bias, dbias;

    Network(Kernel k, Numbers& numbers)
        : kernel(k),
          head(numbers.array<T>(outputs * hidden)),
          dhead(static_cast<size_t>(outputs * hidden)),
          bias(numbers.array<T>(outputs)),
          dbias(static_cast<size_t>(outputs)) {
        const int64_t rows = hidden * (k == lstm ? 4 : k == gru ? 3 : 1);
        for (int64_t features : {input, hidden})
            for (int64_t count : {rows * features, rows * hidden, rows, rows}) {
                weights.push_back(numbers.array<T>(count));
                gradients.emplace_back(static_cast<size_t>(count));
            }
    }
    rnnkit::Layer<T> layer(size_t i) const {
        rnnkit::Layer<T> made{};
        rnnkit::RecurrentProblem& problem = made.problem;
        problem.kernel = static_cast<rnnkit::Kernel>(kernel);
        problem.variant = kernel == lstm ? rnnkit::Variant::standard : rnnkit::Variant::tanh;
        if (kernel == gru) problem.variant = rnnkit::Variant::reset_after;
        problem.input = i == 0 ? input : hidden;
        problem.hidden = problem.state = hidden;
        made.weights.w = weights[4 * i].get(), made.weights.u = weights[4 * i + 1].get();
        made.weights.bias[0] = weights[4 * i + 2].get(), made.weights.bias[1] = weights[4 * i + 3].get();
        made.dw = gradients[4 * i].get(), made.du = gradients[4 * i + 1].get();
        made.db[0] = gradients[4 * i + 2].get(), made.db[1] = gradients[4 * i + 3].get();
        return made;
    }
    rnnkit::Head<T> top() const {
        return {hidden, outputs, Loss::cross_entropy, head.get(), bias.get(), dhead.get(), dbias.get()};
    }
};

template <class T>
bool same(const Array<T>& one, const Array<T>& other) {
    return one.size() == other.size() && std::memcmp(one.get(), other.get(), one.size() * sizeof(T)) == 0;
}

// The same by the calls of the layers and of the head, with arrays of their own.
template <class T>
double by_parts(const Network<T>& network, const rnnkit::StepBatch<T>& batch) {
    struct Pass {
        rnnkit::RecurrentProblem problem;
        Array<T> out, saved, hn, cn, dx;
    };
    std::vector<Pass> passes;
    std::vector<rnnkit::RecurrentForward<T>> calls;
    rnnkit::Strided<const T> x = batch.x;
    for (size_t i = 0; i < 2; ++i) {
        rnnkit::RecurrentProblem problem = network.layer(i).problem;
        problem.batch = batch.batch, problem.time = batch.time, problem.lengths = batch.lengths;
        problem.threads = batch.threads;
        const int64_t width = rnnkit::recurrent_saved_width(problem), H = network.hidden;
        const auto rows = static_cast<size_t>(batch.batch * H), steps = rows * static_cast<size_t>(batch.time);
        passes.push_back({problem, Array<T>(steps), Array<T>(static_cast<size_t>(batch.batch * batch.time * width)),
                          Array<T>(rows), Array<T>(rows), Array<T>(steps)});
        Pass& pass = passes.back();
        rnnkit::RecurrentForward<T> call{};
        call.x = x, call.weights = network.layer(i).weights;
        call.out = {pass.out.get(), H * batch.time, H}, call.hn = pass.hn.get(), call.cn = pass.cn.get();
        if (width > 0) call.saved = {pass.saved.get(), width * batch.time, width};
        const Scratch scratch(rnnkit::recurrent_scratch(problem, sizeof(T), false));
        call.scratch = scratch.get();
        rnnkit::recurrent_pack(problem, call.weights, call.scratch);
        rnnkit::recurrent_forward(problem, call);
        x = {pass.out.get(), H * batch.time, H};
        calls.push_back(call);
    }
    const HeadProblem problem{batch.batch, network.hidden, network.outputs, Loss::cross_entropy, batch.threads};
    const Array<T> dh(static_cast<size_t>(batch.batch * network.hidden));
    const Scratch scratch(rnnkit::head_scratch(problem, sizeof(T)));
    const HeadCall<T> head{passes[1].hn.get(), network.head.get(),  network.bias.get(),  batch.targets, batch.output,
                           dh.get(),           network.dhead.get(), network.dbias.get(), scratch.get()};
    const double loss = rnnkit::head_loss(problem, head);
    rnnkit::head_gradients(problem, head);
    for (size_t i = 2; i-- > 0;) {
        rnnkit::RecurrentBackward<T> call{};
        static_cast<rnnkit::RecurrentInputs<T>&>(call) = calls[i];
        const rnnkit::Layer<T> layer = network.layer(i);
        call.out = {calls[i].out.data, calls[i].out.batch, calls[i].out.time};
        call.saved = {calls[i].saved.data, calls[i].saved.batch, calls[i].saved.time};
        const int64_t H = network.hidden;
        if (i == 1) {
            call.dhn = dh.get();
            call.dx = {passes[0].dx.get(), H * batch.time, H};
        } else {
            call.dout = {passes[0].dx.get(), H * batch.time, H};
        }
        call.dw = layer.dw, call.du = layer.du, call.db[0] = layer.db[0], call.db[1] = layer.db[1];
        const Scratch own(rnnkit::recurrent_scratch(passes[i].problem, sizeof(T), true));
        call.scratch = own.get();
        rnnkit::recurrent_backward(passes[i].problem, call);
    }
    return loss;
}

template <class T>
std::string wrong_step(Kernel kernel, unsigned seed) {
    Numbers first(seed), second(seed);
    const Network<T> one(kernel, first), other(kernel, second);
    rnnkit::GradientStep<T> step({one.layer(0), one.layer(1)}, one.top());
    std::string wrong;
    // Smaller after larger and the other way round: the memory stays and grows.
    for (const auto& [batch, time, threads] : {std::tuple{5, 7, 1}, std::tuple{2, 3, 2}, std::tuple{33, 9, 3}}) {
        Numbers numbers(seed + static_cast<unsigned>(batch));
        const auto rows = static_cast<size_t>(batch);
        Array<T> x = numbers.array<T>(batch * time * one.input);
        Array<int64_t> lengths(rows), labels(rows);
        for (size_t b = 0; b < rows; ++b) {
            lengths[b] = 1 + numbers.below(time), labels[b] = numbers.below(one.outputs);
            for (auto t = static_cast<size_t>(lengths[b]); t < static_cast<size_t>(time); ++t)
                for (size_t i = 0; i < static_cast<size_t>(one.input); ++i)
                    x[(b * static_cast<size_t>(time) + t) * static_cast<size_t>(one.input) + i] =
                        std::numeric_limits<T>::quiet_NaN();
        }
        const Array<T> z(rows * static_cast<size_t>(one.outputs)), z_by_parts(z.size());
        rnnkit::StepBatch<T> given{
            {x.get(), one.input * time, one.input}, batch, time, lengths.get(), labels.get(), z.get(), threads};
        const double loss = step.run(given);
        given.output = z_by_parts.get();
        if (!(loss == by_parts(other, given)) || !std::isfinite(loss)) wrong += " loss";
        if (!same(z, z_by_parts)) wrong += " outputs";
        for (size_t i = 0; i < one.gradients.size(); ++i)
            if (!same(one.gradients[i], other.gradients[i])) wrong += " gradient " + std::to_string(i);
        if (!same(one.dhead, other.dhead) || !same(one.dbias, other.dbias)) wrong += " head";
    }
    // A loss that is no number leaves the gradients.
    Array<T> x = first.array<T>(3 * 4 * one.input);
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::numeric_limits<T>::quiet_NaN();
    Array<int64_t> labels(3);
    for (size_t b = 0; b < 3; ++b) labels[b] = 0;
    const Array<T> z(static_cast<size_t>(3 * one.outputs));
    const double loss = step.run({{x.get(), one.input * 4, one.input}, 3, 4, nullptr, labels.get(), z.get(), 1});
    if (!std::isnan(loss) || !same(one.dhead, other.dhead) || !same(one.gradients[0], other.gradients[0]))
        wrong += " gradients of a loss that is NaN";
    return wrong;
}

template <class T>
void test_in(Tally& tally) {
    Numbers numbers(11);
    for (int64_t batch : {1, 7, 40})
        for (int64_t features : {1, 16, 45})
            for (int64_t outputs : {1, 10, 33})
                for (Loss loss : {Loss::cross_entropy, Loss::squared_error})
                    for (bool biased : {false, true})
                        tally.expect("head", type_name<T>,
                                     wrong_head<T>({batch, features, outputs, loss, 1}, biased, numbers));
    for (int threads : {2, 3})
        tally.expect("head of several threads", type_name<T>,
                     wrong_head<T>({130, 97, 301, Loss::cross_entropy, threads}, true, numbers));
    for (int64_t count : {1, 15, 64, 1001}) tally.expect("updates", type_name<T>, wrong_updates<T>(count, 1, numbers));
    tally.expect("updates of several threads", type_name<T>, wrong_updates<T>(300001, 3, numbers));
    for (Kernel kernel : kernels)
        for (unsigned seed : {1u, 2u}) tally.expect("step", type_name<T>, wrong_step<T>(kernel, seed));
}

}  // namespace

void test_training(Tally& tally) {
    test_in<float>(tally);
    test_in<double>(tally);
}
