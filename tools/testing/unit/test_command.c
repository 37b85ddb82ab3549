// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "command.h"

#include <stdio.h>

enum { WORDS = 80 };

static struct message {
	char text[8192];
	char *argv[WORDS];
	unsigned int argc;
	struct cdp_command command;
	const char *word;
} m;

/* The text cut at blanks, and parsed. */
static const char *parse(const char *text)
{
	char *save, *word;

	m.argc = 0;
	assert_true(strlen(text) < sizeof(m.text));
	strcpy(m.text, text);
	for (word = strtok_r(m.text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(m.argc < WORDS);
		m.argv[m.argc++] = word;
	}
	m.word = NULL;
	return cdp_command_parse(&m.command, m.argc, m.argv, &m.word);
}

static const struct cdp_command *accepted(const char *text, enum cdp_verb verb)
{
	const char *why = parse(text);

	if (why)
		fail_msg("'%s': %s %s", text, m.word, why);
	assert_int_equal(m.command.verb, verb);
	return &m.command;
}

/* Refused because of that word, with a reason that has these letters in it. */
static void refused(const char *text, const char *word, const char *reason)
{
	const char *why = parse(text);

	if (!why)
		fail_msg("'%s' was not refused", text);
	assert_string_equal(m.word, word);
	if (!strstr(why, reason))
		fail_msg("'%s' was refused without '%s': %s", text, reason, why);
}

static const char *words(const char *prefix, const char *format, unsigned int nr)
{
	static char text[8192];
	unsigned int i, at = sprintf(text, "%s", prefix);

	for (i = 0; i < nr; i++)
		at += sprintf(text + at, format, i);
	return text;
}

static void each_verb_takes_its_arguments(void **state)
{
	const struct cdp_command *c;

	c = accepted("create_volume a 2048", CDP_CMD_CREATE_VOLUME);
	assert_string_equal(c->name, "a");
	assert_int_equal(c->number, 2048);
	c = accepted("delete_volume a", CDP_CMD_DELETE_VOLUME);
	assert_string_equal(c->name, "a");
	c = accepted("mark m b a", CDP_CMD_MARK);
	assert_string_equal(c->name, "m");
	assert_int_equal(c->nr_volumes, 2);
	assert_string_equal(c->volumes[0], "b");
	assert_string_equal(c->volumes[1], "a");
	c = accepted("unmark m", CDP_CMD_UNMARK);
	assert_string_equal(c->name, "m");
	c = accepted("revert a 1795269790000000", CDP_CMD_REVERT);
	assert_string_equal(c->name, "a");
	assert_null(c->when.mark);
	assert_int_equal(c->when.us, 1795269790000000);
	c = accepted("resolve a @m", CDP_CMD_RESOLVE);
	assert_string_equal(c->name, "a");
	assert_string_equal(c->when.mark, "m");
	accepted("list_volumes", CDP_CMD_LIST_VOLUMES);
	c = accepted("list_marks 17", CDP_CMD_LIST_MARKS);
	assert_int_equal(c->number, 17);
	c = accepted("list_branches a", CDP_CMD_LIST_BRANCHES);
	assert_string_equal(c->name, "a");
	accepted("time", CDP_CMD_TIME);
	accepted("checkpoint", CDP_CMD_CHECKPOINT);
}

static void what_a_verb_does_not_take_is_zero(void **state)
{
	const struct cdp_command *c;

	memset(&m.command, 0xff, sizeof(m.command));
	c = accepted("list_marks", CDP_CMD_LIST_MARKS);
	assert_null(c->name);
	assert_int_equal(c->number, 0);
	assert_null(c->when.mark);
	assert_int_equal(c->when.us, 0);
	assert_int_equal(c->nr_volumes, 0);
	assert_null(c->volumes);
	c = accepted("mark m *", CDP_CMD_MARK);
	assert_int_equal(c->nr_volumes, 0);
	assert_null(c->volumes);
}

static void a_verb_is_known_letter_for_letter(void **state)
{
	refused("", "", "not a message");
	refused("nonsense", "nonsense", "not a message");
	refused("nonsense a 1", "nonsense", "not a message");
	refused("TIME", "TIME", "not a message");
	refused("tim", "tim", "not a message");
	refused("time2", "time2", "not a message");
	refused("marks m a", "marks", "not a message");
	m.argv[0] = "";
	assert_non_null(cdp_command_parse(&m.command, 1, m.argv, &m.word));
}

static void a_verb_takes_no_argument_less_and_none_more(void **state)
{
	static const char * const texts[] = {
		"create_volume", "create_volume a", "create_volume a 8 8",
		"delete_volume", "delete_volume a b",
		"mark", "mark m",
		"unmark", "unmark m m",
		"revert", "revert a", "revert a 5 5",
		"resolve", "resolve a", "resolve a @m @m",
		"list_volumes a",
		"list_marks 1 2",
		"list_branches", "list_branches a b",
		"time now",
		"checkpoint please",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *why = parse(texts[i]);

		if (!why || !strstr(why, "number of arguments"))
			fail_msg("'%s': %s", texts[i], why ?: "not refused");
		assert_ptr_equal(m.word, m.argv[0]);
	}
}

static void names_are_1_to_63_of_a_few_characters(void **state)
{
	static const char * const bad[] = {
		".c", "-c", "_c", "+c", ":c", "@c", "*", "c/d", "c,d", "c@d", "c\td", "c\n",
		"c\xc3\xa4", "\xff", "c\x7f", "c=d", "c;d",
	};
	static const char * const verbs[] = {
		"create_volume %s 8", "delete_volume %s", "mark %s a", "mark a %s b", "mark a b %s",
		"unmark %s", "revert %s 5", "resolve %s 5", "list_branches %s",
	};
	char text[256], name[65];
	unsigned int i, k;

	memset(name, 'a', sizeof(name));
	name[64] = '\0';
	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		for (k = 0; k < ARRAY_SIZE(bad); k++) {
			sprintf(text, verbs[i], bad[k]);
			refused(text, bad[k], "not a name");
		}
		sprintf(text, verbs[i], name);
		refused(text, name, "not a name");
		sprintf(text, verbs[i], name + 1);
		assert_null(parse(text));
		sprintf(text, verbs[i], "0._+:-Z");
		assert_null(parse(text));
	}
}

static void a_name_may_be_that_of_a_verb_or_a_number(void **state)
{
	assert_string_equal(accepted("delete_volume time", CDP_CMD_DELETE_VOLUME)->name, "time");
	assert_string_equal(accepted("mark 12 34", CDP_CMD_MARK)->name, "12");
	assert_string_equal(accepted("resolve a @5", CDP_CMD_RESOLVE)->when.mark, "5");
}

static void numbers_are_digits_and_fit(void **state)
{
	static const char * const bad[] = {
		"-8", "+8", "12x", "x12", "0x10", "1_000", "8\n", "8.0", "8,0", "1e3", "@", "*",
		"18446744073709551616", "18446744073709551620", "99999999999999999999",
		"340282366920938463463374607431768211456", "\xb2",
	};
	char text[128];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		sprintf(text, "create_volume a %s", bad[i]);
		refused(text, bad[i], "not a number");
		sprintf(text, "list_marks %s", bad[i]);
		refused(text, bad[i], "not a number");
		sprintf(text, "revert a %s", bad[i]);
		refused(text, bad[i], "not an instant");
		sprintf(text, "resolve a %s", bad[i]);
		refused(text, bad[i], "not an instant");
	}
	assert_int_equal(accepted("list_marks 0", CDP_CMD_LIST_MARKS)->number, 0);
	assert_int_equal(accepted("list_marks 007", CDP_CMD_LIST_MARKS)->number, 7);
	assert_true(accepted("list_marks 18446744073709551615", CDP_CMD_LIST_MARKS)->number == ~0ULL);
	assert_true(accepted("list_marks 18446744073709551609", CDP_CMD_LIST_MARKS)->number ==
		    ~0ULL - 6);
}

static void an_empty_word_is_neither_name_nor_number(void **state)
{
	struct cdp_when when;

	m.argv[0] = "create_volume";
	m.argv[1] = "";
	m.argv[2] = "8";
	assert_non_null(cdp_command_parse(&m.command, 3, m.argv, &m.word));
	m.argv[1] = "a";
	m.argv[2] = "";
	assert_non_null(cdp_command_parse(&m.command, 3, m.argv, &m.word));
	assert_non_null(cdp_when_parse(&when, ""));
}

static void an_instant_is_microseconds_or_a_mark(void **state)
{
	static const char * const bad[] = {
		"@", "@@m", "@.m", "@m@", "m", "now", "yesterday", "-5min", "@ ",
	};
	struct cdp_when when;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(cdp_when_parse(&when, bad[i]));
	assert_null(cdp_when_parse(&when, "0"));
	assert_null(when.mark);
	assert_int_equal(when.us, 0);
	assert_null(cdp_when_parse(&when, "@before-upgrade"));
	assert_string_equal(when.mark, "before-upgrade");
	assert_int_equal(when.us, 0);
}

static void a_mark_names_each_volume_once(void **state)
{
	refused("mark m a a", "a", "twice");
	refused("mark m a b c b", "b", "twice");
	accepted("mark m a A aa", CDP_CMD_MARK);
	accepted("mark a a", CDP_CMD_MARK);
}

static void all_volumes_is_a_word_alone(void **state)
{
	refused("mark m * a", "*", "not a name");
	refused("mark m a *", "*", "not a name");
	refused("mark m * *", "*", "not a name");
	refused("mark * a", "*", "not a name");
	refused("mark m **", "**", "not a name");
}

static void a_mark_names_64_volumes_at_most(void **state)
{
	const struct cdp_command *c;

	c = accepted(words("mark m", " v%u", CDP_MARK_VOLUMES), CDP_CMD_MARK);
	assert_int_equal(c->nr_volumes, CDP_MARK_VOLUMES);
	assert_string_equal(c->volumes[CDP_MARK_VOLUMES - 1], "v63");
	refused(words("mark m", " v%u", CDP_MARK_VOLUMES + 1), "v64", "too many");
	refused(words("mark m", " v%u", CDP_MARK_VOLUMES + 10), "v64", "too many");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_verb_takes_its_arguments),
		cmocka_unit_test(what_a_verb_does_not_take_is_zero),
		cmocka_unit_test(a_verb_is_known_letter_for_letter),
		cmocka_unit_test(a_verb_takes_no_argument_less_and_none_more),
		cmocka_unit_test(names_are_1_to_63_of_a_few_characters),
		cmocka_unit_test(a_name_may_be_that_of_a_verb_or_a_number),
		cmocka_unit_test(numbers_are_digits_and_fit),
		cmocka_unit_test(an_empty_word_is_neither_name_nor_number),
		cmocka_unit_test(an_instant_is_microseconds_or_a_mark),
		cmocka_unit_test(a_mark_names_each_volume_once),
		cmocka_unit_test(all_volumes_is_a_word_alone),
		cmocka_unit_test(a_mark_names_64_volumes_at_most),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
