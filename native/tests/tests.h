// What the files of tests share: each counts what passes and says what does not.
#pragma once

#include "call.h"

struct Tally {
    int passed = 0, failed = 0;

    // `wrong` is empty where all is well.
    void expect(const std::string& what, const char* type, const std::string& wrong);
    void expect(const Case& c, const char* type, const std::string& wrong) { expect(c.name(), type, wrong); }
};

template <class T>
constexpr const char* type_name = sizeof(T) == 4 ? "float" : "double";

// Both precisions: forward as for training, as for inference (the same bits), backward for all gradients.
void check(Tally& tally, const Case& c);
// The same bits each time, from as many threads.
void check_repeats(Tally& tally, const Case& c);

// Random options that go together, of those in `from`; the same from run to run.
class Draw {
public:
    explicit Draw(unsigned seed) : state_(seed) {}
    unsigned next(unsigned below);
    Case of(Kernel kernel, int64_t batch, int64_t time, int64_t input, int64_t hidden, unsigned from);

private:
    unsigned state_;
};

constexpr Kernel kernels[] = {simple_rnn, lstm, gru};

void test_truth(Tally& tally);
void test_options(Tally& tally);
void test_rows(Tally& tally);
void test_units(Tally& tally);
void test_edges(Tally& tally);
void test_streams(Tally& tally);
void test_draws(Tally& tally);
void test_threads(Tally& tally);
void test_tokens(Tally& tally);
void test_transducer(Tally& tally);
void test_training(Tally& tally);
void test_int8(Tally& tally);
