// SPDX-License-Identifier: GPL-2.0-only
#include "bitmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_WORDS = 512 };

int bitmap_init(struct bitmap *b, u64 nr_bits)
{
	memset(b, 0, sizeof(*b));
	b->nr_words = (nr_bits + 63) / 64;
	b->nr_chunks = b->nr_words / CHUNK_WORDS + 1;
	b->chunks = calloc(b->nr_chunks, sizeof(*b->chunks));
	return b->chunks ? 0 : -ENOMEM;
}

void bitmap_exit(struct bitmap *b)
{
	u64 i;

	for (i = 0; b->chunks && i < b->nr_chunks; i++)
		free(b->chunks[i]);
	free(b->chunks);
	memset(b, 0, sizeof(*b));
}

static u64 get_word(const struct bitmap *b, u64 index)
{
	const u64 *chunk = b->chunks[index / CHUNK_WORDS];

	return chunk ? chunk[index % CHUNK_WORDS] : 0;
}

int bitmap_set_word(struct bitmap *b, u64 index, u64 word)
{
	u64 **chunk = &b->chunks[index / CHUNK_WORDS];

	if (!*chunk && word)
		*chunk = calloc(CHUNK_WORDS, sizeof(**chunk));
	if (!*chunk)
		return word ? -ENOMEM : 0;
	(*chunk)[index % CHUNK_WORDS] = word;
	return 0;
}

bool bitmap_get(const struct bitmap *b, u64 bit)
{
	return get_word(b, bit / 64) >> bit % 64 & 1;
}

int bitmap_set(struct bitmap *b, u64 bit)
{
	u64 word = get_word(b, bit / 64), mask = 1ULL << bit % 64;

	return word & mask ? 1 : bitmap_set_word(b, bit / 64, word | mask);
}

u64 bitmap_count_without(const struct bitmap *a, const struct bitmap *b)
{
	u64 i, word, nr = 0;

	for (i = 0; i < a->nr_chunks; i++)
		for (word = i * CHUNK_WORDS; a->chunks[i] && word < (i + 1) * CHUNK_WORDS; word++)
			nr += __builtin_popcountll(get_word(a, word) & ~get_word(b, word));
	return nr;
}
