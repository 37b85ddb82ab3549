// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "cdp_test.h"

#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* libdevmapper keeps its state in globals. */
static pthread_mutex_t dm_mutex = PTHREAD_MUTEX_INITIALIZER;

static void dm_quiet(int level, const char *file, int line, int errno_or_class,
		     const char *fmt, ...)
{
}

void dm_be_quiet(void)
{
	dm_log_with_errno_init(dm_quiet);
	dm_udev_set_sync_support(0);
}

static struct dm_task *dm_task_for(int type, const char *name)
{
	char full[128];
	struct dm_task *task;

	dm_be_quiet();
	snprintf(full, sizeof(full), TEST_PREFIX "%s", name);
	task = dm_task_create(type);
	TEST_ASSERT(task && dm_task_set_name(task, full), "no task for %s", full);
	return task;
}

/* Runs and destroys the task. */
static int dm_task_finish(struct dm_task *task)
{
	int r = 0;

	/* A table that was refused has left no error number: its device was removed since. */
	if (!dm_task_run(task))
		r = -(dm_task_get_errno(task) ?: EINVAL);
	dm_task_destroy(task);
	return r;
}

int __dm_table(const struct dm_spec *spec, const char *params)
{
	struct dm_task *task;
	uint32_t cookie = 0;
	int r;

	pthread_mutex_lock(&dm_mutex);
	task = dm_task_for(DM_DEVICE_CREATE, spec->name);
	if (spec->read_only)
		dm_task_set_ro(task);
	dm_task_add_target(task, 0, spec->sectors, spec->target, params);
	dm_task_set_cookie(task, &cookie, DM_UDEV_DISABLE_LIBRARY_FALLBACK);
	r = dm_task_finish(task);
	pthread_mutex_unlock(&dm_mutex);
	return r;
}

void dm_table(const struct dm_spec *spec, const char *fmt, ...)
{
	char params[512];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(params, sizeof(params), fmt, ap);
	va_end(ap);
	r = __dm_table(spec, params);
	TEST_ASSERT(!r, "table of %s: %s %s: error %d", spec->name, spec->target, params, r);
}

static int dm_remove(const char *name, bool patient)
{
	struct dm_task *task;
	int r;

	pthread_mutex_lock(&dm_mutex);
	task = dm_task_for(DM_DEVICE_REMOVE, name);
	if (patient)
		dm_task_retry_remove(task);
	r = dm_task_finish(task);
	pthread_mutex_unlock(&dm_mutex);
	return r;
}

int __dm_delete(const char *name)
{
	return dm_remove(name, true);
}

void dm_delete(const char *name)
{
	int r = __dm_delete(name);

	TEST_ASSERT(!r, "cannot remove %s: error %d", name, r);
}

static int dm_vsay(const char *name, char *reply, size_t size, const char *fmt, va_list ap)
{
	struct dm_task *task;
	char message[1024];
	int r;

	vsnprintf(message, sizeof(message), fmt, ap);
	pthread_mutex_lock(&dm_mutex);
	task = dm_task_for(DM_DEVICE_TARGET_MSG, name);
	dm_task_set_sector(task, 0);
	dm_task_set_message(task, message);
	r = dm_task_run(task) ? 0 : -(dm_task_get_errno(task) ?: EIO);
	if (!r && reply) {
		const char *answer = dm_task_get_message_response(task);

		snprintf(reply, size, "%s", answer ?: "");
	}
	dm_task_destroy(task);
	pthread_mutex_unlock(&dm_mutex);
	return r;
}

int __dm_say(const char *name, char *reply, size_t size, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = dm_vsay(name, reply, size, fmt, ap);
	va_end(ap);
	return r;
}

void dm_say(const char *name, char *reply, size_t size, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = dm_vsay(name, reply, size, fmt, ap);
	va_end(ap);
	TEST_ASSERT(!r, "message to %s refused: '%s': error %d", name, fmt, r);
}

void dm_info_line(const char *name, char *line, size_t size)
{
	struct dm_task *task;
	char *type, *params;
	uint64_t start, len;

	pthread_mutex_lock(&dm_mutex);
	task = dm_task_for(DM_DEVICE_STATUS, name);
	TEST_ASSERT(dm_task_run(task), "no status of %s", name);
	dm_get_next_target(task, NULL, &start, &len, &type, &params);
	snprintf(line, size, "%s", params ?: "");
	dm_task_destroy(task);
	pthread_mutex_unlock(&dm_mutex);
}

void dm_node(const char *name, char *path, size_t size)
{
	struct dm_task *task;
	struct dm_info info;

	pthread_mutex_lock(&dm_mutex);
	task = dm_task_for(DM_DEVICE_INFO, name);
	TEST_ASSERT(dm_task_run(task) && dm_task_get_info(task, &info) && info.exists,
		    "no device %s", name);
	snprintf(path, size, "/dev/dm-%u", info.minor);
	dm_task_destroy(task);
	pthread_mutex_unlock(&dm_mutex);
}

static unsigned int dm_delete_listed(struct dm_names *names)
{
	unsigned int left = 0, next = 0;

	do {
		names = (void *)names + next;
		next = names->next;
		if (strncmp(names->name, TEST_PREFIX, strlen(TEST_PREFIX)))
			continue;
		if (dm_remove(names->name + strlen(TEST_PREFIX), false))
			left++;
	} while (next);
	return left;
}

/* Those that hold others cannot go first: a few rounds do it. */
unsigned int dm_delete_all(void)
{
	unsigned int round, left = 1;

	for (round = 0; left && round < 8; round++) {
		struct dm_task *task = dm_task_create(DM_DEVICE_LIST);
		struct dm_names *names;

		left = 0;
		if (task && dm_task_run(task) && (names = dm_task_get_names(task)) && names->dev)
			left = dm_delete_listed(names);
		dm_task_destroy(task);
	}
	return left;
}

void dm_clean_up(void)
{
	if (dm_delete_all())
		printf("# device-mapper devices could not be removed\n");
}

int block_open(const char *path, bool writable)
{
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);

	TEST_ASSERT(fd >= 0, "cannot open %s", path);
	return fd;
}

u64 block_sectors_of(int fd)
{
	u64 bytes;

	TEST_ASSERT(!ioctl(fd, BLKGETSIZE64, &bytes), "no size");
	return bytes / SECTOR_SIZE;
}

void *block_buffer(size_t size)
{
	void *buffer;

	TEST_ASSERT(!posix_memalign(&buffer, 4096, size), "no memory for %zu bytes", size);
	return buffer;
}
