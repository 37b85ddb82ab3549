/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_BITMAP_H
#define SHIM_LINUX_BITMAP_H

/* With the kernel's types of arguments, so that what they cut off is cut off here. */
#include <stdbool.h>

#define BITS_PER_LONG 64
#define BIT_WORD(nr) ((nr) / BITS_PER_LONG)
#define BIT_MASK(nr) (1UL << ((nr) % BITS_PER_LONG))
#define BITS_TO_LONGS(nr) (((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define hweight64(w) ((unsigned int)__builtin_popcountl(w))

static inline bool test_bit(long nr, const unsigned long *map)
{
	return map[BIT_WORD(nr)] & BIT_MASK(nr);
}

static inline void __set_bit(unsigned long nr, unsigned long *map)
{
	map[BIT_WORD(nr)] |= BIT_MASK(nr);
}

static inline void __clear_bit(unsigned long nr, unsigned long *map)
{
	map[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}

static inline bool __test_and_set_bit(unsigned long nr, unsigned long *map)
{
	bool was = test_bit(nr, map);

	__set_bit(nr, map);
	return was;
}

static inline bool __test_and_clear_bit(unsigned long nr, unsigned long *map)
{
	bool was = test_bit(nr, map);

	__clear_bit(nr, map);
	return was;
}

static inline void bitmap_set(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (; nbits; start++, nbits--)
		__set_bit(start, map);
}

static inline void bitmap_clear(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (; nbits; start++, nbits--)
		__clear_bit(start, map);
}

/* The first bit at or after start that differs from those of `not`; size if there is none. */
static inline unsigned long shim_find_next(const unsigned long *map, unsigned long size,
					   unsigned long start, unsigned long not)
{
	while (start < size) {
		unsigned long word = (map[BIT_WORD(start)] ^ not) >> start % BITS_PER_LONG;

		if (word) {
			start += __builtin_ctzl(word);
			break;
		}
		start += BITS_PER_LONG - start % BITS_PER_LONG;
	}
	return start < size ? start : size;
}

static inline unsigned long find_next_bit(const unsigned long *map, unsigned long size,
					  unsigned long start)
{
	return shim_find_next(map, size, start, 0);
}

static inline unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size,
					       unsigned long start)
{
	return shim_find_next(map, size, start, ~0UL);
}

#endif
