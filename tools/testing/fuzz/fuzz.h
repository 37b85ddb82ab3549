/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers share: the input as a block, and checksums made right, so that what lies
 * behind them is reached.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <asm/byteorder.h>
#include <linux/crc32c.h>
#include <linux/dm-cdp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_block {
	u8 bytes[CDP_UNIT_SIZE] __attribute__((aligned(8)));
};

static inline void fuzz_fill(struct fuzz_block *block, const uint8_t *data, size_t size)
{
	memset(block, 0, sizeof(*block));
	memcpy(block, data, size < sizeof(*block) ? size : sizeof(*block));
}

/* Checksum of bytes 4 to len - 1. */
static inline void fuzz_seal(struct fuzz_block *block, size_t len, u32 xor)
{
	__le32 csum = cpu_to_le32(crc32c(~0, block->bytes + 4, len - 4) ^ xor);

	memcpy(block, &csum, sizeof(csum));
}

static inline void fuzz_put64(struct fuzz_block *block, size_t at, u64 value)
{
	__le64 v = cpu_to_le64(value);

	memcpy(block->bytes + at, &v, sizeof(v));
}

#define FUZZ_ASSERT(expr) do { if (!(expr)) abort(); } while (0)

#endif
