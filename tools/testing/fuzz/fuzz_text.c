// SPDX-License-Identifier: GPL-2.0-only
/*
 * What people type and what the kernel answers: instants, sizes, names, lines.
 */
#include "fuzz.h"
#include "instant.h"
#include "name.h"
#include "reply.h"
#include "size.h"

static void fuzz_words(const char *text)
{
	struct cdp_instant instant;
	char buf[CDP_TIME_TEXT];
	struct cdp_path path;
	u64 value;

	if (!cdp_instant_parse(&instant, text) && instant.kind == CDP_INSTANT_TIME) {
		FUZZ_ASSERT(!(instant.us >> CDP_TIME_BITS));
		cdp_time_format(buf, instant.us);
		cdp_time_format_utc(buf, instant.us);
	}
	cdp_duration_parse(&value, text);
	if (!cdp_size_parse(&value, text))
		FUZZ_ASSERT(!(value >> 63));
	cdp_path_parse(&path, text);
}

static void fuzz_line(const char *line)
{
	struct cdp_volume_line volume;
	struct cdp_mark_line mark;
	struct cdp_branch_line branch;
	struct cdp_pool_status pool_status;
	struct cdp_volume_status volume_status;
	struct cdp_view_status view_status;
	struct cdp_volume_table volume_table;
	struct cdp_pool_table pool_table;
	u64 first, second;

	if (!cdp_reply_mark(&mark, line) && !cdp_reply_volume(&volume, line))
		cdp_mark_has(&mark, &volume);
	cdp_reply_branch(&branch, line);
	cdp_reply_times(line, &first, &second);
	cdp_status_pool(&pool_status, line);
	cdp_status_volume(&volume_status, line);
	cdp_status_view(&view_status, line);
	cdp_table_volume(&volume_table, line);
	cdp_table_pool(&pool_table, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *line;
	const char *rest = text;

	FUZZ_ASSERT(text);
	memcpy(text, data, size);
	text[size] = '\0';
	fuzz_words(text);
	fuzz_line(text);
	while ((line = cdp_reply_line(&rest))) {
		fuzz_line(line);
		free(line);
	}
	free(text);
	return 0;
}
