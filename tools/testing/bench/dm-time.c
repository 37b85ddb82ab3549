// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-time: how long device-mapper takes, in microseconds, without what it takes
 * to start a program.
 *
 *   dm-time message <device> <count> <text>	a line for each; # in the text is its number
 *   dm-time create <device> <sectors> <target> <parameters>
 */
#include <errno.h>
#include <error.h>
#include <libdevmapper.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static struct dm_task *new_task(int type, const char *device)
{
	struct dm_task *task = dm_task_create(type);

	if (!task || !dm_task_set_name(task, device))
		error(1, ENOMEM, "%s", device);
	return task;
}

static void run(struct dm_task *task)
{
	double start = now_us();

	if (!dm_task_run(task))
		error(1, dm_task_get_errno(task), "device-mapper");
	printf("%.1f\n", now_us() - start);
	dm_task_destroy(task);
}

static void send_message(const char *device, const char *text, int nr)
{
	struct dm_task *task = new_task(DM_DEVICE_TARGET_MSG, device);
	int len = strcspn(text, "#");
	char message[256];

	if (text[len])
		snprintf(message, sizeof(message), "%.*s%d%s", len, text, nr, text + len + 1);
	else
		snprintf(message, sizeof(message), "%s", text);
	if (!dm_task_set_sector(task, 0) || !dm_task_set_message(task, message))
		error(1, ENOMEM, "%s", message);
	run(task);
}

static void create(const char *device, uint64_t sectors, const char *target, const char *parameters)
{
	struct dm_task *task = new_task(DM_DEVICE_CREATE, device);

	if (!dm_task_add_target(task, 0, sectors, target, parameters))
		error(1, ENOMEM, "%s", target);
	run(task);
}

int main(int argc, char **argv)
{
	int i;

	if (argc == 5 && !strcmp(argv[1], "message")) {
		for (i = 0; i < atoi(argv[3]); i++)
			send_message(argv[2], argv[4], i);
	} else if (argc == 6 && !strcmp(argv[1], "create")) {
		create(argv[2], strtoull(argv[3], NULL, 10), argv[4], argv[5]);
	} else {
		error(2, 0, "usage: message <device> <count> <text> | create <device> <sectors> <target> <parameters>");
	}
	return 0;
}
