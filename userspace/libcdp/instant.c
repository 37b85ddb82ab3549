// SPDX-License-Identifier: GPL-2.0-only
#include "instant.h"

#include <ctype.h>
#include <errno.h>
#include <linux/array_size.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "record.h"

#define US_PER_SEC	1000000ULL
#define US_MAX		((1ULL << CDP_TIME_BITS) - 1)

/* Reads min to max digits. */
static bool digits(const char **p, unsigned int min, unsigned int max, u64 *value)
{
	unsigned int n;

	*value = 0;
	for (n = 0; n < max && isdigit((unsigned char)**p); n++)
		*value = *value * 10 + *(*p)++ - '0';
	return n >= min && !isdigit((unsigned char)**p);
}

static bool skip(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* A fraction's digits as microseconds; what is finer is cut off. */
static bool fraction(const char **p, u64 *us)
{
	u64 unit = US_PER_SEC;

	*us = 0;
	if (!isdigit((unsigned char)**p))
		return false;
	while (isdigit((unsigned char)**p)) {
		unit /= 10;
		*us += unit * (*(*p)++ - '0');
	}
	return true;
}

struct clock {
	struct tm tm;
	u64 us;
	bool zoned;
	int offset;		/* seconds east of UTC */
};

/* HH:MM[:SS[.fraction]] */
static bool parse_clock(const char **p, struct clock *c)
{
	u64 hour, minute, second = 0;

	if (!digits(p, 2, 2, &hour) || !skip(p, ':') || !digits(p, 2, 2, &minute))
		return false;
	if (skip(p, ':')) {
		if (!digits(p, 2, 2, &second))
			return false;
		if (skip(p, '.') && !fraction(p, &c->us))
			return false;
	}
	c->tm.tm_hour = hour;
	c->tm.tm_min = minute;
	c->tm.tm_sec = second;
	return true;
}

/* [Z|(+|-)HH[:]MM] */
static bool parse_zone(const char **p, struct clock *c)
{
	u64 hours, minutes = 0;
	int sign = 0;

	if (skip(p, 'Z')) {
		c->zoned = true;
		return true;
	}
	if (skip(p, '+'))
		sign = 1;
	else if (skip(p, '-'))
		sign = -1;
	if (!sign)
		return true;
	if (strchr(*p, ':')) {
		if (!digits(p, 2, 2, &hours) || !skip(p, ':') || !digits(p, 2, 2, &minutes))
			return false;
	} else {
		if (!digits(p, 4, 4, &hours))
			return false;
		minutes = hours % 100;
		hours /= 100;
	}
	c->zoned = true;
	c->offset = sign * (int)(hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

static bool parse_date(const char **p, struct clock *c)
{
	u64 year, month, day;

	if (!digits(p, 4, 4, &year) || !skip(p, '-') || !digits(p, 2, 2, &month) ||
	    !skip(p, '-') || !digits(p, 2, 2, &day))
		return false;
	c->tm.tm_year = (int)year - 1900;
	c->tm.tm_mon = (int)month - 1;
	c->tm.tm_mday = day;
	return true;
}

static bool same_clock(const struct tm *a, const struct tm *b)
{
	return a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
	       a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/*
 * mktime() turns 30 February into 2 March without a word; so compare what comes back.  Not
 * the hour: one that daylight saving skips is moved, and that is right.
 */
static int clock_time(const struct clock *c, u64 *us)
{
	struct tm tm = c->tm;
	time_t t;

	if (c->tm.tm_hour > 23)
		return -ERANGE;
	tm.tm_isdst = -1;
	t = c->zoned ? timegm(&tm) : mktime(&tm);
	if (!same_clock(&tm, &c->tm))
		return -ERANGE;
	t -= c->offset;
	if (t < 0)
		return -ERANGE;
	*us = t * US_PER_SEC + c->us;
	return 0;
}

static int parse_date_time(struct cdp_instant *instant, const char *p)
{
	struct clock c = { 0 };

	if (!parse_date(&p, &c))
		return -EINVAL;
	if (*p && ((!skip(&p, ' ') && !skip(&p, 'T')) || !parse_clock(&p, &c) ||
		   !parse_zone(&p, &c) || *p))
		return -EINVAL;
	instant->kind = CDP_INSTANT_TIME;
	return clock_time(&c, &instant->us);
}

/* A date and a T: somebody who wants the mark of that name can say so with @. */
static bool is_unfinished(const char *p)
{
	struct clock c;

	return parse_date(&p, &c) && skip(&p, 'T') && !*p;
}

static int parse_time_of_day(struct cdp_instant *instant, const char *p)
{
	struct clock c = { 0 };
	time_t now = time(NULL);

	if (!localtime_r(&now, &c.tm))
		return -ERANGE;
	if (!parse_clock(&p, &c) || *p)
		return -EINVAL;
	instant->kind = CDP_INSTANT_TIME;
	return clock_time(&c, &instant->us);
}

static int parse_raw(struct cdp_instant *instant, const char *p)
{
	u64 us;

	if (!digits(&p, 1, 19, &us) || *p)
		return -EINVAL;
	if (us > US_MAX)
		return -ERANGE;
	instant->kind = CDP_INSTANT_TIME;
	instant->us = us;
	return 0;
}

static int parse_mark(struct cdp_instant *instant, const char *name)
{
	char padded[CDP_NAME_SIZE] = { 0 };

	if (strlen(name) >= CDP_NAME_SIZE)
		return -EINVAL;
	memcpy(padded, name, strlen(name));
	if (!cdp_name_valid(padded))
		return -EINVAL;
	instant->kind = CDP_INSTANT_MARK;
	memcpy(instant->mark, padded, sizeof(padded));
	return 0;
}

static int parse_ago(struct cdp_instant *instant, const char *p)
{
	instant->kind = CDP_INSTANT_AGO;
	return cdp_duration_parse(&instant->us, p);
}

int cdp_instant_parse(struct cdp_instant *instant, const char *text)
{
	int r;

	memset(instant, 0, sizeof(*instant));
	if (!strcmp(text, "now")) {
		instant->kind = CDP_INSTANT_AGO;
		return 0;
	}
	if (*text == '-')
		return parse_ago(instant, text + 1);
	if (*text == '@')
		return parse_mark(instant, text + 1);
	if (!strncmp(text, "us:", 3))
		return parse_raw(instant, text + 3);

	r = parse_date_time(instant, text);
	if (r == -EINVAL)
		r = parse_time_of_day(instant, text);
	if (r == -EINVAL && !is_unfinished(text))
		r = parse_mark(instant, text);
	return r;
}

int cdp_instant_time(const struct cdp_instant *instant, u64 now, u64 *us)
{
	if (instant->kind == CDP_INSTANT_MARK)
		return -EINVAL;
	if (instant->kind == CDP_INSTANT_TIME) {
		*us = instant->us;
		return 0;
	}
	if (instant->us > now)
		return -ERANGE;
	*us = now - instant->us;
	return 0;
}

static const struct unit {
	const char *name;
	u64 seconds;
} units[] = {
	{ "w", 604800 }, { "d", 86400 }, { "h", 3600 },
	{ "min", 60 }, { "m", 60 }, { "sec", 1 }, { "s", 1 },
};

static const struct unit *find_unit(const char **p)
{
	size_t i, len = 0;

	while (isalpha((unsigned char)(*p)[len]))
		len++;
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (strlen(units[i].name) != len || strncmp(*p, units[i].name, len))
			continue;
		*p += len;
		return &units[i];
	}
	return NULL;
}

int cdp_duration_parse(u64 *us, const char *text)
{
	const char *p = text;
	u64 number, part, last = US_MAX;
	const struct unit *unit;

	*us = 0;
	if (!*p)
		return -EINVAL;
	while (*p) {
		part = 0;
		if (!digits(&p, 1, 12, &number) || (skip(&p, '.') && !fraction(&p, &part)))
			return -EINVAL;
		unit = find_unit(&p);
		if (!unit || unit->seconds >= last)
			return -EINVAL;
		last = unit->seconds;
		/* 12 digits of weeks do not overflow a multiplication by parts. */
		if (number > US_MAX / US_PER_SEC / unit->seconds)
			return -ERANGE;
		*us += number * unit->seconds * US_PER_SEC + part * unit->seconds;
		if (*us > US_MAX)
			return -ERANGE;
	}
	return 0;
}

void cdp_time_format(char text[CDP_TIME_TEXT], u64 us)
{
	time_t t = us / US_PER_SEC;
	struct tm tm;
	size_t n;

	if (!localtime_r(&t, &tm) || tm.tm_year > 8099) {
		snprintf(text, CDP_TIME_TEXT, "us:%llu", us);
		return;
	}
	n = strftime(text, CDP_TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(text + n, CDP_TIME_TEXT - n, ".%06llu", us % US_PER_SEC);
}

void cdp_time_format_utc(char text[CDP_TIME_TEXT], u64 us)
{
	time_t t = us / US_PER_SEC;
	struct tm tm;
	size_t n;

	if (!gmtime_r(&t, &tm) || tm.tm_year > 8099) {
		snprintf(text, CDP_TIME_TEXT, "us:%llu", us);
		return;
	}
	n = strftime(text, CDP_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, CDP_TIME_TEXT - n, ".%06lluZ", us % US_PER_SEC);
}

void cdp_duration_format(char text[CDP_DURATION_TEXT], u64 us)
{
	u64 s = us / US_PER_SEC;

	if (us < US_PER_SEC)
		snprintf(text, CDP_DURATION_TEXT, "%llu.%03llums", us / 1000, us % 1000);
	else if (s < 60)
		snprintf(text, CDP_DURATION_TEXT, "%llu.%01llus", s, us % US_PER_SEC / 100000);
	else if (s < 3600)
		snprintf(text, CDP_DURATION_TEXT, "%llumin %llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, CDP_DURATION_TEXT, "%lluh %llumin", s / 3600, s % 3600 / 60);
	else
		snprintf(text, CDP_DURATION_TEXT, "%llud %lluh", s / 86400, s % 86400 / 3600);
}
