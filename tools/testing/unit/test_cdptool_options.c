// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line of a verb: options and words.
 */
#include "test.h"
#undef fail		/* cdp-tool has one too */
#include "tool.h"

#include <stdio.h>
#include <unistd.h>

enum { MAX_WORDS = 10 };

static const char *to, *at;
static bool force;

static const struct option_spec specs[] = {
	{ .name = "to", .value = &to }, { .name = "at", .value = &at },
	{ .name = "force", .flag = &force }, { .name = NULL }
};

static const struct verb verb = {
	.noun = "thing", .name = "do", .arguments = "<pool>/<volume> SIZE [<more>...] [--force]",
};

static char *words[MAX_WORDS + 1];
static int nr_words;

/* Parses the words, which stand in one string with blanks between; what is told goes to told. */
static char told[1000];

static int parse(const char *line, int min, int max)
{
	static char buf[200];
	FILE *err = tmpfile();
	int argc = 1, saved = dup(2), r;
	size_t len;

	assert_non_null(err);
	snprintf(buf, sizeof(buf), "%s", line);
	memset(words, 0, sizeof(words));
	words[0] = "do";
	for (words[1] = strtok(buf, " "); words[argc]; words[argc] = strtok(NULL, " "))
		argc++;
	to = NULL;
	at = NULL;
	force = false;
	tool = (struct tool){ .verb = &verb };
	fflush(stderr);
	dup2(fileno(err), 2);
	r = options_parse(argc, words, specs, min, max, &nr_words);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	rewind(err);
	len = fread(told, 1, sizeof(told) - 1, err);
	told[len] = '\0';
	fclose(err);
	return r;
}

static void assert_refused(const char *line, int min, int max, const char *why)
{
	assert_int_equal(parse(line, min, max), EXIT_USAGE);
	if (!strstr(told, why))
		print_error("no '%s' in: %s", why, told);
	assert_non_null(strstr(told, why));
}

static void options_stand_anywhere(void **state)
{
	assert_int_equal(parse("--to now a --force b --at=@m1", 2, 2), 0);
	assert_int_equal(nr_words, 2);
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "b");
	assert_string_equal(to, "now");
	assert_string_equal(at, "@m1");
	assert_true(force);
}

static void a_value_may_look_like_an_option(void **state)
{
	assert_int_equal(parse("--to -5min a", 1, 1), 0);
	assert_string_equal(to, "-5min");
	assert_int_equal(parse("--to --force a", 1, 1), 0);
	assert_string_equal(to, "--force");
	assert_false(force);
	assert_int_equal(parse("--to= a", 1, 1), 0);
	assert_string_equal(to, "");
}

static void a_dash_and_a_digit_are_a_word(void **state)
{
	assert_int_equal(parse("-5min -", 2, 2), 0);
	assert_string_equal(words[0], "-5min");
	assert_string_equal(words[1], "-");
}

static void two_dashes_end_the_options(void **state)
{
	assert_int_equal(parse("--force -- --to --", 0, -1), 0);
	assert_int_equal(nr_words, 2);
	assert_string_equal(words[0], "--to");
	assert_string_equal(words[1], "--");
	assert_null(to);
}

static void common_options_are_the_tool_s(void **state)
{
	assert_int_equal(parse("a -q", 1, 1), 0);
	assert_true(tool.quiet);
	assert_int_equal(parse("--json a", 1, 1), 0);
	assert_true(tool.json);
	tool.json = false;
}

static void what_is_wrong_is_told(void **state)
{
	assert_refused("--what a", 1, 1, "unknown option '--what'");
	assert_refused("-x a", 1, 1, "unknown option '-x'");
	assert_refused("--t now a", 1, 1, "unknown option '--t'");
	assert_refused("a --to", 1, 1, "'--to' needs a value");
	assert_refused("a --force=yes", 1, 1, "'--force' takes no value");
	assert_refused("a b c", 1, 2, "'c' is one word too many");
}

static void an_option_is_given_once(void **state)
{
	assert_refused("a --to now --to now", 1, 1, "'--to' is given twice");
	assert_refused("a --to=now --to=", 1, 1, "'--to' is given twice");
	assert_refused("a --force --force", 1, 1, "'--force' is given twice");
}

static void the_word_that_is_missing_is_named(void **state)
{
	assert_refused("", 2, 3, "<pool>/<volume> is missing");
	assert_refused("--force", 2, 3, "<pool>/<volume> is missing");
	assert_refused("tank/vm", 2, 3, "SIZE is missing");
	assert_refused("tank/vm 1G", 3, 3, "a word is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(a_value_may_look_like_an_option),
		cmocka_unit_test(a_dash_and_a_digit_are_a_word),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(common_options_are_the_tool_s),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(an_option_is_given_once),
		cmocka_unit_test(the_word_that_is_missing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
