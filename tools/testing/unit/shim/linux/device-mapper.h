/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_DEVICE_MAPPER_H
#define SHIM_LINUX_DEVICE_MAPPER_H

#include <stdbool.h>
#include <stdio.h>

/* Damage is what many tests make: they say it only when asked to. */
extern bool shim_verbose;

#define DMERR(fmt, ...) \
	((void)(shim_verbose && fprintf(stderr, DM_MSG_PREFIX ": " fmt "\n", ##__VA_ARGS__)))
#define DMERR_LIMIT DMERR

#endif
