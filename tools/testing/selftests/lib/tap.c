// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "tap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CASE_SECONDS	= 120,
};

static unsigned int tap_nr;
static const char *tap_sentence = "the test ran to its end";

int tap_main(int (*test)(int argc, char **argv), void (*clean_up)(void), int argc, char **argv)
{
	int status;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	pid = fork();
	if (!pid) {
		int r = test(argc, argv);

		fflush(stdout);
		_exit(r);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	if (WIFSIGNALED(status))
		printf("not ok # killed by signal %d\n", WTERMSIG(status));
	if (clean_up)
		clean_up();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void tap_plan(unsigned int nr)
{
	printf("TAP version 13\n1..%u\n", nr);
}

void tap_ok(const char *fmt, ...)
{
	va_list ap;

	printf("ok %u ", ++tap_nr);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void tap_note(const char *fmt, ...)
{
	va_list ap;

	flockfile(stdout);
	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	funlockfile(stdout);
}

void tap_testing(const char *sentence)
{
	tap_sentence = sentence;
}

void tap_fail(const char *file, int line, const char *expr, const char *fmt, ...)
{
	va_list ap;

	flockfile(stdout);
	printf("# %s:%d: !(%s): ", file, line, expr);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (%s)\nnot ok %u %s\n", strerror(errno), tap_nr + 1, tap_sentence);
	fflush(stdout);
	_exit(1);
}

void tap_skip(const char *fmt, ...)
{
	va_list ap;

	flockfile(stdout);
	printf("ok %u %s # SKIP ", tap_nr + 1, tap_sentence);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	_exit(0);
}

/* Says itself how it went, unless a signal ends it: the parent does that then. */
static void case_run(const struct tap_case *c)
{
	alarm(CASE_SECONDS);
	c->run();
	tap_ok("%s", c->sentence);
	fflush(stdout);
	_exit(0);
}

/* Whether it went well. */
static bool case_fork(const struct tap_case *c)
{
	int status;
	pid_t pid;

	tap_sentence = c->sentence;
	pid = fork();
	if (!pid)
		case_run(c);
	TEST_ASSERT(pid > 0 && waitpid(pid, &status, 0) == pid, "no child");
	if (WIFSIGNALED(status))
		printf("not ok %u %s # killed by signal %d\n", tap_nr + 1, c->sentence,
		       WTERMSIG(status));
	tap_nr++;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int tap_cases(const struct tap_case *cases, unsigned int nr)
{
	const char *only = getenv("ONLY") ?: "";
	unsigned int i, chosen = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < nr; i++)
		chosen += !!strstr(cases[i].sentence, only);
	tap_plan(chosen);
	for (i = 0; i < nr; i++)
		if (strstr(cases[i].sentence, only))
			failed += !case_fork(&cases[i]);
	return !!failed;
}
