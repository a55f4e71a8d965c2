#include "call.h"

namespace {

// Errors beside the largest number of an array, in rounding errors of a sum over the steps.
template <class T>
constexpr double bound = sizeof(T) == 4 ? 4e-6 : 8e-15;

class Comparison {
public:
    Comparison(const char* what, const Case& c, const std::vector<double>& truth, double unit) : what_(what) {
        double largest = 1;
        for (double number : truth) largest = std::fmax(largest, std::abs(number));
        allowed_ = unit * largest * std::sqrt(static_cast<double>(1 + c.batch * c.time));
    }
    void add(double truth, double found) {
        const double difference = std::abs(truth - found);
        if (std::isnan(difference))
            nan_ = true;
        else
            worst_ = std::fmax(worst_, difference);
    }
    void exactly(double truth, double found) {
        if (!(truth == found)) nan_ = true;
    }
    std::string result() const {
        if (!nan_ && worst_ <= allowed_) return "";
        const std::string error = nan_ ? "NaN or no zero" : std::to_string(worst_ / allowed_) + " of the bound";
        return std::string(" ") + what_ + ": " + error;
    }

private:
    const char* what_;
    double allowed_, worst_ = 0;
    bool nan_ = false;
};

template <class T>
std::string compare(const char* what, const Case& c, const std::vector<double>& truth, const Array<T>& found,
                    double factor = 1) {
    Comparison comparison(what, c, truth, factor * bound<T>);
    if (found.size() != truth.size()) return std::string(" ") + what + ": another size";
    for (size_t i = 0; i < truth.size(); ++i) comparison.add(truth[i], static_cast<double>(found[i]));
    return comparison.result();
}

// Features [first, first + n) of every step, n from the size of the truth; zeros behind a row's length unless `unset`.
template <class T>
std::string compare(const char* what, const Problem& p, const std::vector<double>& truth, const Sequence<T>& found,
                    double factor = 1, int64_t first = 0, bool unset = false) {
    const Case& c = p.c;
    Comparison comparison(what, c, truth, factor * bound<T>);
    const int64_t n = c.batch == 0 ? 0 : static_cast<int64_t>(truth.size()) / (c.batch * c.time);
    size_t next = 0;
    for (int64_t b = 0; b < c.batch; ++b)
        for (int64_t t = 0; t < c.time; ++t)
            for (int64_t i = 0; i < n; ++i, ++next) {
                const auto number = static_cast<double>(found.at(b, t, first + i));
                if (t < p.length(b))
                    comparison.add(truth[next], number);
                else if (!unset)
                    comparison.exactly(0, number);
            }
    return comparison.result() + (found.gaps_untouched() ? "" : std::string(" ") + what + ": wrote between rows");
}

template <class T>
void append(std::string& bits, const Array<T>& array) {
    if (array.size() > 0) bits.append(reinterpret_cast<const char*>(array.get()), array.size() * sizeof(T));
}

}  // namespace

template <class T>
Call<T>::Call(const Problem& problem) : p_(problem), c_(problem.c) {
    saved_width_ = rnnkit::recurrent_saved_width(recurrent());
    for (int f = 0; f < fields; ++f)
        if (f != x) in_[f] = Array<T>(p_.given[static_cast<size_t>(f)]);
    const int64_t S = c_.state_size(), H = c_.hidden;
    x_ = Sequence<T>(c_, c_.input, p_.given[x]);
    if (c_.has(even_zones))
        zone_h_ = Array<T>(p_.zone_h), zone_c_ = Array<T>(p_.zone_c);
    else
        zones_h_ = Sequence<T>(c_, S, p_.zone_h), zones_c_ = Sequence<T>(c_, H, p_.zone_c);
    dout_ = Sequence<T>(c_, S, p_.dout), dcells_ = Sequence<T>(c_, H, p_.dcells);
    mask_ = Array<T>(p_.mask), dhn_ = Array<T>(p_.dhn), dcn_ = Array<T>(p_.dcn);
}

rnnkit::RecurrentProblem recurrent_problem(const Case& c) {
    using enum rnnkit::Variant;
    constexpr rnnkit::Variant nonlinearities[] = {tanh, relu, sigmoid};
    rnnkit::RecurrentProblem problem{};
    problem.kernel = static_cast<rnnkit::Kernel>(c.kernel);
    problem.variant = c.kernel == lstm  ? standard
                      : c.kernel == gru ? (c.has(before) ? reset_before : reset_after)
                                        : nonlinearities[c.nonlinearity];
    problem.batch = c.batch, problem.time = c.time, problem.input = c.input, problem.hidden = c.hidden;
    problem.state = c.state_size(), problem.reverse = c.has(backwards);
    problem.masked = c.has(masked), problem.zoned_h = c.has(zoned_h), problem.zoned_c = c.has(zoned_c);
    problem.peepholes = c.has(peepholes), problem.normed = c.has(normed), problem.threads = c.threads;
    return problem;
}

template <class T>
rnnkit::RecurrentProblem Call<T>::recurrent() const {
    rnnkit::RecurrentProblem problem = recurrent_problem(c_);
    problem.lengths = c_.has(ragged) ? p_.lengths.data() : nullptr;
    problem.resets = {c_.has(resets) ? p_.reset.data() : nullptr, c_.time, 1};
    return problem;
}

template <class T>
rnnkit::RecurrentWeights<T> Call<T>::weights() const {
    return {pointer(w),          pointer(u),        {pointer(b_x), pointer(b_h)},
            pointer(projection), pointer(peephole), pointer(gain_x),
            pointer(gain_h),     pointer(gain_c),   pointer(shift_c)};
}

template <class T>
rnnkit::Strided<const T> Call<T>::zone(const Array<T>& even, const Sequence<T>& whole) const {
    return c_.has(even_zones) ? rnnkit::Strided<const T>{even.get(), 0, 0} : whole.template view<const T>();
}

template <class T>
rnnkit::RecurrentForward<T> Call<T>::forward_call(bool save) {
    const int64_t S = c_.state_size(), H = c_.hidden, B = c_.batch;
    out_ = Sequence<T>(c_, S), hn_ = Array<T>(static_cast<size_t>(B * S));
    cn_ = Array<T>(static_cast<size_t>(c_.kernel == lstm ? B * H : 0));
    saved_ = Sequence<T>(c_, save ? saved_width_ : 0);
    rnnkit::RecurrentForward<T> call{};
    call.x = x_.template view<const T>(), call.weights = weights();
    call.h0 = pointer(h0), call.c0 = pointer(c0), call.reset_h = pointer(reset_h), call.reset_c = pointer(reset_c);
    call.mask = mask_.get(), call.zone_h = zone(zone_h_, zones_h_), call.zone_c = zone(zone_c_, zones_c_);
    call.out = out_.template view<T>(), call.hn = hn_.get(), call.cn = cn_.get();
    call.saved = saved_.template view<T>();
    return call;
}

template <class T>
void Call<T>::forward(bool save) {
    rnnkit::RecurrentForward<T> call = forward_call(save);
    const rnnkit::RecurrentProblem problem = recurrent();
    const Scratch scratch(rnnkit::recurrent_scratch(problem, sizeof(T), false));
    call.scratch = scratch.get();
    rnnkit::recurrent_pack(problem, call.weights, scratch.get());
    rnnkit::recurrent_forward(problem, call);
}

template <class T>
void Call<T>::forward_by(
    const std::function<void(const rnnkit::RecurrentProblem&, rnnkit::RecurrentForward<T>&)>& function) {
    rnnkit::RecurrentForward<T> call = forward_call(false);
    function(recurrent(), call);
}

template <class T>
void Call<T>::backward(unsigned wanted) {
    for (int f = 0; f < fields; ++f) grads_[f] = Array<T>(wants(wanted, f) && f != x ? in_[f].size() : 0);
    dx_ = Sequence<T>(c_, wants(wanted, x) ? c_.input : 0);
    const rnnkit::RecurrentProblem problem = recurrent();
    const Scratch scratch(rnnkit::recurrent_scratch(problem, sizeof(T), true));
    const auto to = [&](Field f) { return grads_[f].get(); };
    rnnkit::RecurrentBackward<T> call{};
    if (wants(wanted, w)) call.x = x_.template view<const T>();
    call.weights = weights();
    call.h0 = pointer(h0), call.c0 = pointer(c0), call.reset_h = pointer(reset_h), call.reset_c = pointer(reset_c);
    call.mask = mask_.get(), call.zone_h = zone(zone_h_, zones_h_), call.zone_c = zone(zone_c_, zones_c_);
    call.out = out_.template view<const T>(), call.saved = saved_.template view<const T>();
    call.dout = dout_.template view<const T>(), call.dcells = dcells_.template view<const T>();
    call.dhn = dhn_.get(), call.dcn = dcn_.get();
    call.dx = dx_.template view<T>();
    call.dw = to(w), call.du = to(u), call.db[0] = to(b_x), call.db[1] = to(b_h);
    call.dprojection = to(projection), call.dpeephole = to(peephole);
    call.dgain_x = to(gain_x), call.dgain_h = to(gain_h), call.dgain_c = to(gain_c), call.dshift_c = to(shift_c);
    call.dh0 = to(h0), call.dc0 = to(c0), call.dreset_h = to(reset_h), call.dreset_c = to(reset_c);
    call.scratch = scratch.get();
    rnnkit::recurrent_backward(problem, call);
}

template <class T>
std::string Call<T>::check_forward(const Expected& truth, double factor) const {
    std::string wrong = compare("out", p_, truth.out, out_, factor) + compare("hn", c_, truth.hn, hn_, factor);
    if (!saved_.gaps_untouched()) wrong += " saved: wrote between rows";
    if (c_.kernel != lstm) return wrong;
    wrong += compare("cn", c_, truth.cn, cn_, factor);
    if (saved_.data().size() > 0) wrong += compare("saved c", p_, truth.cells, saved_, factor, 4 * c_.hidden, true);
    return wrong;
}

template <class T>
std::string Call<T>::check_backward(const Expected& truth, unsigned wanted) const {
    std::string wrong;
    if (wants(wanted, x)) wrong += compare("dx", p_, truth.gradients[x], dx_);
    for (int f = 0; f < fields; ++f)
        if (f != x && wants(wanted, f))
            wrong += compare(field_names[f], c_, truth.gradients[static_cast<size_t>(f)], grads_[f]);
    return wrong;
}

template <class T>
std::string Call<T>::forward_bits() const {
    std::string bits;
    append(bits, out_.data()), append(bits, hn_), append(bits, cn_);
    return bits;
}

template <class T>
std::string Call<T>::backward_bits(unsigned wanted) const {
    std::string bits;
    if (wants(wanted, x)) append(bits, dx_.data());
    for (int f = 0; f < fields; ++f)
        if (f != x && wants(wanted, f)) append(bits, grads_[f]);
    return bits;
}

template class Call<float>;
template class Call<double>;
