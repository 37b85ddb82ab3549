/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the C tests of dm-cdp share, beside TAP and random numbers: short ways to say things to
 * device-mapper.
 *
 * All devices begin with TEST_PREFIX.  A test is run by tap_main() with dm_clean_up(), which
 * removes whatever it has left of them.
 */
#ifndef CDP_TEST_H
#define CDP_TEST_H

#include "random.h"
#include "tap.h"

#define TEST_PREFIX	"cdptest-"
#define SECTOR_SIZE	512

/*
 * Device-mapper.  Safe to call from several threads.  A name is given without
 * TEST_PREFIX.  __dm_x() returns 0 or a negative errno, dm_x() asserts success.
 */
struct dm_spec {
	const char *name;
	u64 sectors;
	const char *target;
	bool read_only;
};

int __dm_table(const struct dm_spec *spec, const char *params);
void dm_table(const struct dm_spec *spec, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int __dm_delete(const char *name);
void dm_delete(const char *name);
int __dm_say(const char *name, char *reply, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void dm_say(const char *name, char *reply, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The INFO line of the device's only target, without start, length and name. */
void dm_info_line(const char *name, char *line, size_t size);
/* /dev/dm-<minor> of the device. */
void dm_node(const char *name, char *path, size_t size);
/* How many could not be removed. */
unsigned int dm_delete_all(void);
void dm_clean_up(void);
void dm_be_quiet(void);

/* A block device opened O_DIRECT. */
int block_open(const char *path, bool writable);
u64 block_sectors_of(int fd);
/* Page-aligned memory. */
void *block_buffer(size_t size);

#endif
