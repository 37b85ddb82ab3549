/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instants as people write them.
 *
 *   <instant> := now | -<duration> | us:<microseconds> | <date and time> |
 *                <time of day> | @<mark> | <mark>
 *   <duration> := <number>[.<fraction>]<unit>...    s sec m min h d w, largest first
 *   <date and time> := YYYY-MM-DD[( |T)HH:MM[:SS[.<fraction>]][Z|(+|-)HH[:]MM]]
 *   <time of day> := HH:MM[:SS[.<fraction>]]        of today
 *
 * Without a zone the time is local.  A word that is none of these is the name of
 * a mark; @ before it says so.
 */
#ifndef LIBCDP_INSTANT_H
#define LIBCDP_INSTANT_H

#include <linux/types.h>
#include <linux/dm-cdp.h>

enum cdp_instant_kind {
	CDP_INSTANT_TIME,	/* us: microseconds since 1970-01-01 UTC */
	CDP_INSTANT_AGO,	/* us: before now */
	CDP_INSTANT_MARK,
};

struct cdp_instant {
	enum cdp_instant_kind kind;
	u64 us;
	char mark[CDP_NAME_SIZE];
};

enum { CDP_TIME_TEXT = 40, CDP_DURATION_TEXT = 32 };

/* 0, or -EINVAL: not an instant; -ERANGE: a date that no calendar has, or out of range. */
int cdp_instant_parse(struct cdp_instant *instant, const char *text);

/* The time of an instant that is no mark.  -ERANGE: before 1970. */
int cdp_instant_time(const struct cdp_instant *instant, u64 now, u64 *us);

/* -EINVAL, -ERANGE. */
int cdp_duration_parse(u64 *us, const char *text);

/* 2026-11-21 14:03:22.500000, local time. */
void cdp_time_format(char text[CDP_TIME_TEXT], u64 us);

/* 2026-11-21T13:03:22.500000Z */
void cdp_time_format_utc(char text[CDP_TIME_TEXT], u64 us);

/* At most two units: 2d 4h, 5min 3s, 12.5s, 40ms. */
void cdp_duration_format(char text[CDP_DURATION_TEXT], u64 us);

#endif
