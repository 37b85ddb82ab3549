/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KSHIM_LINUX_CRC32C_H
#define KSHIM_LINUX_CRC32C_H

#include <linux/types.h>

/* As the kernel's: no inversion, neither of the seed nor of the result. */
u32 crc32c(u32 crc, const void *data, size_t len);

#endif
