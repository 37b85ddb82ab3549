// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "instant.h"

#include <errno.h>
#include <time.h>

static const u64 second = 1000000;

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static void assert_time(const char *text, u64 us)
{
	struct cdp_instant i;
	u64 t;

	assert_int_equal(cdp_instant_parse(&i, text), 0);
	assert_int_equal(i.kind, CDP_INSTANT_TIME);
	assert_int_equal(cdp_instant_time(&i, 0, &t), 0);
	assert_int_equal(t, us);
}

static void assert_ago(const char *text, u64 us)
{
	struct cdp_instant i;

	assert_int_equal(cdp_instant_parse(&i, text), 0);
	assert_int_equal(i.kind, CDP_INSTANT_AGO);
	assert_int_equal(i.us, us);
}

static void assert_mark(const char *text, const char *name)
{
	struct cdp_instant i;

	assert_int_equal(cdp_instant_parse(&i, text), 0);
	assert_int_equal(i.kind, CDP_INSTANT_MARK);
	assert_string_equal(i.mark, name);
}

static void assert_wrong(const char *text, int error)
{
	struct cdp_instant i;

	assert_int_equal(cdp_instant_parse(&i, text), error);
}

static void absolute_times_with_a_zone(void **state)
{
	assert_time("1970-01-01T00:00:00Z", 0);
	assert_time("2026-11-21T14:03:22Z", 1795269802 * second);
	assert_time("2026-11-21 14:03:22.5Z", 1795269802 * second + 500000);
	assert_time("2026-11-21T15:03:22+01:00", 1795269802 * second);
	assert_time("2026-11-21T08:33:22-0530", 1795269802 * second);
	assert_time("2026-11-21T14:03Z", 1795269780 * second);
	assert_time("2026-11-21T14:03:22.1234567Z", 1795269802 * second + 123456);
}

static void absolute_times_without_a_zone_are_local(void **state)
{
	set_zone("UTC-2");	/* two hours east */
	assert_time("2026-11-21 16:03:22", 1795269802 * second);
	assert_time("2026-11-21", 1795212000 * second);
	set_zone("UTC");
	assert_time("2026-11-21", 1795219200 * second);
}

static void a_time_of_day_is_of_today(void **state)
{
	struct cdp_instant i;
	time_t now = time(NULL);

	set_zone("UTC");
	assert_int_equal(cdp_instant_parse(&i, "00:00"), 0);
	assert_true(i.us / second <= (u64)now + 86400 && i.us / second + 2 * 86400 > (u64)now);
	assert_int_equal(i.us % (86400 * second), 0);
}

static void relative_times(void **state)
{
	struct cdp_instant i;
	u64 t;

	assert_ago("now", 0);
	assert_ago("-5min", 300 * second);
	assert_ago("-5m", 300 * second);
	assert_ago("-1h30m", 5400 * second);
	assert_ago("-2d", 172800 * second);
	assert_ago("-1w", 604800 * second);
	assert_ago("-1.5h", 5400 * second);
	assert_ago("-0.25s", 250000);
	assert_int_equal(cdp_instant_parse(&i, "-10s"), 0);
	assert_int_equal(cdp_instant_time(&i, 25 * second, &t), 0);
	assert_int_equal(t, 15 * second);
	assert_int_equal(cdp_instant_time(&i, 5 * second, &t), -ERANGE);
}

static void raw_microseconds(void **state)
{
	assert_time("us:1234567890123456", 1234567890123456);
	assert_time("us:0", 0);
	assert_wrong("us:", -EINVAL);
	assert_wrong("us:12x", -EINVAL);
	assert_wrong("us:9999999999999999999", -ERANGE);
	assert_wrong("us:99999999999999999999", -EINVAL);
}

static void marks(void **state)
{
	assert_mark("@before", "before");
	assert_mark("before-upgrade", "before-upgrade");
	assert_mark("@now", "now");
	assert_mark("@2026-11-21", "2026-11-21");
	assert_mark("@2026-11-21T", "2026-11-21T");
	assert_mark("2026-11-21-nightly", "2026-11-21-nightly");
	assert_mark("14:03x", "14:03x");
	assert_mark("7", "7");
	assert_wrong("@", -EINVAL);
	assert_wrong("", -EINVAL);
	assert_wrong("a b", -EINVAL);
	assert_wrong("_x", -EINVAL);
	assert_wrong("@0123456789012345678901234567890123456789012345678901234567890123",
		     -EINVAL);
}

static void what_is_no_time_is_refused(void **state)
{
	set_zone("UTC");
	assert_wrong("2026-02-30", -ERANGE);
	assert_wrong("2026-13-01", -ERANGE);
	assert_wrong("2026-11-21 25:00", -ERANGE);
	assert_wrong("2026-11-21 23:60", -ERANGE);
	assert_wrong("1969-12-31T23:59:59Z", -ERANGE);
	assert_wrong("2026-11-21 14:03:22 ", -EINVAL);
	assert_wrong("2026-11-21 14:03 ", -EINVAL);
	assert_wrong("2026-11-21 ", -EINVAL);
	assert_wrong("2026-11-21T", -EINVAL);
	assert_wrong("14:03 ", -EINVAL);
	assert_wrong("-5min ", -EINVAL);
	assert_wrong("now ", -EINVAL);
	assert_wrong("-", -EINVAL);
	assert_wrong("-5", -EINVAL);
	assert_wrong("-5parsecs", -EINVAL);
	assert_wrong("-30m1h", -EINVAL);
	assert_wrong("-1m1min", -EINVAL);
	assert_wrong("-99999999999w", -ERANGE);
}

static void formats_are_read_back(void **state)
{
	char text[CDP_TIME_TEXT];
	unsigned int n;

	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	for (n = 0; n < 1000; n++) {
		u64 us = random_below(2000000000) * second + random_below(second);

		cdp_time_format_utc(text, us);
		assert_time(text, us);
		/* 02:00 to 03:00 comes twice when summer ends */
		cdp_time_format(text, us);
		if (strncmp(text + 11, "02:", 3))
			assert_time(text, us);
	}
	cdp_time_format(text, ~0ULL >> 2);
	set_zone("UTC");
}

static void durations_for_people(void **state)
{
	static const struct { u64 us; const char *text; } cases[] = {
		{ 0, "0.000ms" }, { 40000, "40.000ms" }, { 12500000, "12.5s" },
		{ 303000000, "5min 3s" }, { 7260000000, "2h 1min" }, { 187200000000, "2d 4h" },
	};
	char text[CDP_DURATION_TEXT];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cdp_duration_format(text, cases[i].us);
		assert_string_equal(text, cases[i].text);
	}
	cdp_duration_format(text, ~0ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absolute_times_with_a_zone),
		cmocka_unit_test(absolute_times_without_a_zone_are_local),
		cmocka_unit_test(a_time_of_day_is_of_today),
		cmocka_unit_test(relative_times),
		cmocka_unit_test(raw_microseconds),
		cmocka_unit_test(marks),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(formats_are_read_back),
		cmocka_unit_test(durations_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
