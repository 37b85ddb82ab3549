/* SPDX-License-Identifier: GPL-2.0-only */
/* Seeded random numbers (xorshift64*), and what the environment says of a run. */
#ifndef LIB_RANDOM_H
#define LIB_RANDOM_H

#include "tap.h"

/* Never shared between threads. */
struct rng {
	u64 state;
};

void rng_init(struct rng *rng, u64 seed);
u64 rng_next(struct rng *rng);
u32 rng_below(struct rng *rng, u32 limit);
bool rng_chance(struct rng *rng, u32 percent);

/* An unsigned number from the environment, or the default. */
u64 env_u64(const char *name, u64 fallback);

/* The value of the named variable or of SEED, or a random one; printed in either case. */
u64 test_seed(const char *name);

#endif
