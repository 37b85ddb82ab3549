/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs in dm-persistent-data; apart from compat.h because user space builds its user,
 * tree.c, too.
 */
#ifndef DM_CDP_COMPAT_PERSISTENT_DATA_H
#define DM_CDP_COMPAT_PERSISTENT_DATA_H

#include <linux/version.h>

/* Since 6.8 the callbacks of a dm_block_validator get it as const. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define cdp_validator_const const
#else
#define cdp_validator_const
#endif

#endif
