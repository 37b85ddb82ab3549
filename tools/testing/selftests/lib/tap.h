/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every C test needs: TAP on stdout, and assertions that end the test.
 *
 * A program is either one test, in tap_main(), or a list of small ones, in tap_cases(); each
 * runs in a child, so that what it leaves behind goes with it.
 */
#ifndef LIB_TAP_H
#define LIB_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

/* Whatever way the child ends, clean_up(), if there is one, runs in the parent. */
int tap_main(int (*test)(int argc, char **argv), void (*clean_up)(void), int argc, char **argv);
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

/* One sentence, and what makes it true: it returns, or an assertion fails, or tap_skip(). */
struct tap_case {
	const char *sentence;
	void (*run)(void);
};

/*
 * Runs them in turn, those whose sentence has the words in ONLY if that is in the environment.
 * Each has two minutes.  Returns the exit status.
 */
int tap_cases(const struct tap_case *cases, unsigned int nr);
/* Ends the case: it cannot be tested here. */
void tap_skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
