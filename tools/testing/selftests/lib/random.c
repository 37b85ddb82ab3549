// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "random.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

void rng_init(struct rng *rng, u64 seed)
{
	/* splitmix64's step: neighbouring seeds give unrelated streams, none zero. */
	seed += 0x9e3779b97f4a7c15ULL;
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9ULL;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111ebULL;
	rng->state = (seed ^ seed >> 31) | 1;
}

u64 rng_next(struct rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1dULL;
}

u32 rng_below(struct rng *rng, u32 limit)
{
	return (rng_next(rng) >> 32) * limit >> 32;
}

bool rng_chance(struct rng *rng, u32 percent)
{
	return rng_below(rng, 100) < percent;
}

u64 env_u64(const char *name, u64 fallback)
{
	const char *value = getenv(name);

	return value && *value ? strtoull(value, NULL, 0) : fallback;
}

u64 test_seed(const char *name)
{
	u64 seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	seed = env_u64(name, env_u64("SEED", seed & 0xffffffff));
	tap_note("%s=%llu", name, (unsigned long long)seed);
	return seed;
}
