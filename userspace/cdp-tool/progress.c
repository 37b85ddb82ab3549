// SPDX-License-Identifier: GPL-2.0-only
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum {
	WIDTH = 30,
	FIRST_MS = 300,		/* what is done by then needs no line */
	EVERY_MS = 100,
};

static struct progress {
	const char *what;	/* NULL: none */
	u64 total;
	u64 next_ms;
	bool shown;
} progress;

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

void progress_hide(void)
{
	if (progress.shown)
		fputs("\r\033[K", stderr);
	progress.shown = false;
}

void progress_begin(const char *what, u64 total)
{
	progress = (struct progress){ .total = total, .next_ms = now_ms() + FIRST_MS };
	if (tool.json || tool.quiet || !isatty(STDERR_FILENO))
		return;
	progress.what = what;
	if (total)
		return;
	fprintf(stderr, "%s...", what);
	progress.shown = true;
}

static void draw(u64 done)
{
	char bar[WIDTH + 1];
	int filled;

	if (done > progress.total)
		done = progress.total;
	filled = (double)done / progress.total * WIDTH;
	memset(bar, '.', WIDTH);
	memset(bar, '#', filled);
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r%s [%s] %3d%%\033[K", progress.what, bar,
		(int)((double)done / progress.total * 100));
	progress.shown = true;
}

void progress_to(u64 done)
{
	u64 now;

	if (!progress.what || !progress.total)
		return;
	now = now_ms();
	if (now < progress.next_ms)
		return;
	progress.next_ms = now + EVERY_MS;
	draw(done);
}

void progress_end(void)
{
	progress_hide();
	progress.what = NULL;
}
