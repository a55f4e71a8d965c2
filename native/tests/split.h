// How a call is split over threads, so that a test of one way cannot silently take the other.
#pragma once

#include "tests.h"

template <class T>
void expect_split(Tally& tally, const Case& c, int threads, bool by_units);
