// SPDX-License-Identifier: GPL-2.0-only
#include "size.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char prefixes[] = "KMGTPE";

static bool parse_unit(const char *p, u64 *unit)
{
	const char *prefix;
	u64 base = 1024;
	int power;

	*unit = 1;
	if (!*p || !strcmp(p, "B"))
		return true;
	if (!strcmp(p, "s")) {
		*unit = 512;
		return true;
	}
	prefix = strchr(prefixes, toupper((unsigned char)*p));
	if (!prefix)
		return false;
	p++;
	if (!strcmp(p, "B"))
		base = 1000;
	else if (*p && strcmp(p, "iB"))
		return false;
	for (power = prefix - prefixes; power >= 0; power--)
		*unit *= base;
	return true;
}

int cdp_size_parse(u64 *bytes, const char *text)
{
	u64 number = 0, part = 0, scale = 1, unit;
	const char *p = text;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		if (number > LLONG_MAX / 10 - 1)
			return -ERANGE;
		number = number * 10 + *p - '0';
	}
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		for (; isdigit((unsigned char)*p); p++) {
			if (scale == 1000)
				return -EINVAL;
			part = part * 10 + *p - '0';
			scale *= 10;
		}
	}
	if (!parse_unit(p, &unit) || (part && unit == 1))
		return -EINVAL;
	if (number > (LLONG_MAX - unit + 1) / unit)
		return -ERANGE;
	*bytes = number * unit + unit / scale * part + unit % scale * part / scale;
	return 0;
}

void cdp_size_format(char text[CDP_SIZE_TEXT], u64 bytes)
{
	u64 unit = 1, tenths;
	int i = -1;

	while (i < 5 && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	if (i < 0) {
		snprintf(text, CDP_SIZE_TEXT, "%llu B", bytes);
		return;
	}
	tenths = bytes % unit * 10 / unit;
	if (tenths)
		snprintf(text, CDP_SIZE_TEXT, "%llu.%llu %ciB", bytes / unit, tenths, prefixes[i]);
	else
		snprintf(text, CDP_SIZE_TEXT, "%llu %ciB", bytes / unit, prefixes[i]);
}
