/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sizes as people write them: 4096, 4K, 512M, 10G, 1.5T, 1TiB are powers of 1024;
 * 512MB, 1TB are powers of 1000; 8s is 8 sectors of 512 bytes.
 */
#ifndef LIBCDP_SIZE_H
#define LIBCDP_SIZE_H

#include <linux/types.h>

enum { CDP_SIZE_TEXT = 24 };

/* 0, or -EINVAL: not a size; -ERANGE: more than 2^63 - 1 bytes. */
int cdp_size_parse(u64 *bytes, const char *text);

/* 10 GiB, 1.5 TiB, 512 B: at most one decimal. */
void cdp_size_format(char text[CDP_SIZE_TEXT], u64 bytes);

#endif
