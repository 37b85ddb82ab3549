/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every C test here needs: TAP on stdout, assertions that end the test, a
 * seeded random generator, and short ways to say things to device-mapper.
 *
 * tap_main() runs the test in a child.  Whatever way the child ends, the parent
 * removes every device-mapper device that begins with TEST_PREFIX, so a failed
 * test leaves nothing behind.
 */
#ifndef CDP_TEST_H
#define CDP_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_PREFIX	"cdptest-"
#define SECTOR_SIZE	512
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

/* TAP. */
int tap_main(int (*test)(int argc, char **argv), int argc, char **argv);
void tap_plan(unsigned int nr);
void tap_ok(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The sentence that is "not ok" if an assertion fails from now on. */
void tap_testing(const char *sentence);
void tap_fail(const char *file, int line, const char *expr, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 4, 5)));

#define TEST_ASSERT(cond, fmt, ...)						\
	do {									\
		if (!(cond))							\
			tap_fail(__FILE__, __LINE__, #cond, fmt, ##__VA_ARGS__);\
	} while (0)

/* Seeded random numbers (xorshift64*); never shared between threads. */
struct rng {
	u64 state;
};

void rng_init(struct rng *rng, u64 seed);
u64 rng_next(struct rng *rng);
u32 rng_below(struct rng *rng, u32 limit);
bool rng_chance(struct rng *rng, u32 percent);

/* An unsigned number from the environment, or the default. */
u64 env_u64(const char *name, u64 fallback);

/*
 * The value of CDP_SEED or SEED, or a random one; printed in either case.
 */
u64 test_seed(void);

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
void dm_be_quiet(void);

/* A block device opened O_DIRECT. */
int block_open(const char *path, bool writable);
u64 block_sectors_of(int fd);
/* Page-aligned memory. */
void *block_buffer(size_t size);

#endif
