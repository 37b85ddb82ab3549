/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bits, all clear at first.  Memory comes where bits are set, so that it is what is on a device
 * that takes it, and not what a superblock claims to be there.
 */
#ifndef CDP_TOOL_BITMAP_H
#define CDP_TOOL_BITMAP_H

#include <linux/types.h>

struct bitmap {
	u64 nr_words;
	u64 **chunks;
	u64 nr_chunks;
};

/* 0 or -ENOMEM */
int bitmap_init(struct bitmap *bitmap, u64 nr_bits);
void bitmap_exit(struct bitmap *bitmap);

/* 64 bits at once; index < nr_words.  0 or -ENOMEM. */
int bitmap_set_word(struct bitmap *bitmap, u64 index, u64 word);

bool bitmap_get(const struct bitmap *bitmap, u64 bit);

/* 0, 1: it was set already, or -ENOMEM */
int bitmap_set(struct bitmap *bitmap, u64 bit);

/* How many bits are set in a and clear in b, which is as large. */
u64 bitmap_count_without(const struct bitmap *a, const struct bitmap *b);

#endif
