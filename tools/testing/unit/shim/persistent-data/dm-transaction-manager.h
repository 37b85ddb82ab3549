/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_PERSISTENT_DATA_DM_TRANSACTION_MANAGER_H
#define SHIM_PERSISTENT_DATA_DM_TRANSACTION_MANAGER_H

/*
 * Stand-in for the kernel's header of this name, see dm-block-manager.h.
 */
#include "dm-block-manager.h"

struct dm_transaction_manager;

int dm_tm_new_block(struct dm_transaction_manager *tm, const struct dm_block_validator *v,
		    struct dm_block **result);
int dm_tm_shadow_block(struct dm_transaction_manager *tm, dm_block_t orig,
		       const struct dm_block_validator *v, struct dm_block **result,
		       int *inc_children);
int dm_tm_read_lock(struct dm_transaction_manager *tm, dm_block_t b,
		    const struct dm_block_validator *v, struct dm_block **result);
void dm_tm_unlock(struct dm_transaction_manager *tm, struct dm_block *b);
void dm_tm_inc(struct dm_transaction_manager *tm, dm_block_t b);
void dm_tm_dec(struct dm_transaction_manager *tm, dm_block_t b);

#endif
