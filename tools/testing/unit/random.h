/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random choices that can be made again: SEED in the environment, else the time; printed.
 */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include <linux/types.h>

void random_start(void);
u64 random_u64(void);
/* 0..n-1 */
u64 random_below(u64 n);

#endif
