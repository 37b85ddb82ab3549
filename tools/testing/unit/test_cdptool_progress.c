// SPDX-License-Identifier: GPL-2.0-only
/*
 * The line that tells how far something is: on a terminal only.
 */
#include "test.h"
#undef fail		/* cdp-tool has one too */
#include "progress.h"
#include "tool.h"

#include <fcntl.h>
#include <unistd.h>

static char seen[10000];
static const char end = '$';

/* Half of something that takes a while, then something told in between. */
static void work(void)
{
	progress_begin("reading", 1000);
	progress_to(1);
	usleep(400000);
	progress_to(500);
	progress_to(501);
	progress_hide();
	usleep(200000);
	progress_to(2000);
	progress_end();
	progress_to(3);
}

static void wait_for_the_kernel(void)
{
	progress_begin("closing", 0);
	progress_to(5);
	progress_end();
}

/* Runs it with standard error being fd, then puts that back. */
static void run_with(int fd, void (*run)(void))
{
	int saved = dup(2);

	dup2(fd, 2);
	run();
	dup2(saved, 2);
	close(saved);
}

static void run_on_terminal(void (*run)(void))
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	size_t len = 0;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	run_with(slave, run);
	assert_int_equal(write(slave, &end, 1), 1);
	while (!len || seen[len - 1] != end)
		len += read(master, seen + len, sizeof(seen) - len);
	seen[len - 1] = '\0';
	close(slave);
	close(master);
}

static void a_terminal_gets_a_bar(void **state)
{
	run_on_terminal(work);
	assert_non_null(strstr(seen, "\rreading [###############...............]  50%"));
	assert_null(strstr(seen, "  0%"));
	assert_non_null(strstr(seen, "\r\033[K\rreading [##############################] 100%"));
	assert_string_equal(seen + strlen(seen) - 4, "\r\033[K");
}

static void what_the_kernel_does_is_named(void **state)
{
	run_on_terminal(wait_for_the_kernel);
	assert_string_equal(seen, "closing...\r\033[K");
}

static void all_else_gets_nothing(void **state)
{
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	run_with(pipes[1], work);
	run_with(pipes[1], wait_for_the_kernel);
	assert_int_equal(read(pipes[0], seen, sizeof(seen)), -1);
	close(pipes[0]);
	close(pipes[1]);
	tool.json = true;
	run_on_terminal(work);
	assert_string_equal(seen, "");
	tool.json = false;
	tool.quiet = true;
	run_on_terminal(wait_for_the_kernel);
	assert_string_equal(seen, "");
	tool.quiet = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_terminal_gets_a_bar),
		cmocka_unit_test(what_the_kernel_does_is_named),
		cmocka_unit_test(all_else_gets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
