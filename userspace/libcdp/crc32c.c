// SPDX-License-Identifier: GPL-2.0-only
/*
 * crc32c (Castagnoli), four tables: about 1 GB/s, enough to check an image at disk speed.
 */
#include <endian.h>
#include <linux/crc32c.h>
#include <linux/string.h>

enum { POLYNOMIAL = 0x82f63b78, SLICES = 4 };

static u32 table[SLICES][256];

static __attribute__((constructor)) void fill_tables(void)
{
	unsigned int i, k;
	u32 crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (k = 1; k < SLICES; k++)
		for (i = 0; i < 256; i++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

u32 crc32c(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;
	u32 word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		crc ^= le32toh(word);
		crc = table[3][crc & 0xff] ^ table[2][crc >> 8 & 0xff] ^
		      table[1][crc >> 16 & 0xff] ^ table[0][crc >> 24];
	}
	while (len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return crc;
}
