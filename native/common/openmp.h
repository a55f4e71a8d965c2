// The OpenMP runtime that is already in the process: libgomp, which PyTorch's CPU wheels bring.
#pragma once

#include "job.h"

namespace rnnkit {

// False until libgomp is in the process: PyTorch may be imported after us.
bool openmp_loaded();

// Runs the job on libgomp's team: index i of the job belongs to thread i modulo the team's size. `first_done` gets the
// time at which the caller was done with its own share. Call only where libgomp is loaded.
void openmp_run(const Job& job, double& first_done);

// Whether libgomp's threads, those of PyTorch's own operations too, sleep at once when they wait, or spin for the
// milliseconds that are libgomp's default. Where other programs use the cores, a thread that spins keeps the one that
// it waits for from running. Does nothing where libgomp is not loaded.
void openmp_wait_asleep(bool asleep, int threads);

}  // namespace rnnkit
