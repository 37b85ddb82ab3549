/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_PERSISTENT_DATA_DM_BLOCK_MANAGER_H
#define SHIM_PERSISTENT_DATA_DM_BLOCK_MANAGER_H

/*
 * Stand-in for the kernel's header of this name: the part of its interface that dm-cdp
 * uses, over a store in memory (store.c).
 */
#include <linux/types.h>
#include <stdint.h>

typedef uint64_t dm_block_t;
struct dm_block;

struct dm_block_validator {
	const char *name;
	void (*prepare_for_write)(const struct dm_block_validator *v, struct dm_block *b,
				  size_t block_size);
	int (*check)(const struct dm_block_validator *v, struct dm_block *b, size_t block_size);
};

dm_block_t dm_block_location(struct dm_block *b);
void *dm_block_data(struct dm_block *b);
u32 dm_bm_checksum(const void *data, size_t len, u32 init_xor);

#endif
