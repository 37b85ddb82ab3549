// SPDX-License-Identifier: GPL-2.0-only
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static u64 state;

void random_start(void)
{
	const char *seed = getenv("SEED");

	state = seed && *seed ? strtoull(seed, NULL, 0) : (u64)time(NULL);
	printf("SEED=%llu\n", (unsigned long long)state);
}

u64 random_u64(void)
{
	u64 x = state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

u64 random_below(u64 n)
{
	return random_u64() % n;
}
