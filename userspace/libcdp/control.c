// SPDX-License-Identifier: GPL-2.0-only
#include "control.h"

#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

static void no_log(UNUSED int level, UNUSED const char *file, UNUSED int line,
		   UNUSED int dm_errno, UNUSED const char *format, ...)
{
}

void cdp_control_init(void)
{
	dm_log_with_errno_init(no_log);
	dm_set_name_mangling_mode(DM_STRING_MANGLING_NONE);
}

/* 0, or the -errno of the ioctl. */
static int run(struct dm_task *task)
{
	int error;

	if (dm_task_run(task))
		return 0;
	error = dm_task_get_errno(task);
	return error ? -error : -EIO;
}

static int new_task(struct dm_task **task, int type, const char *name)
{
	*task = dm_task_create(type);
	if (!*task)		/* it looks for the driver first */
		return geteuid() ? -EPERM : -EOPNOTSUPP;
	if (name && !dm_task_set_name(*task, name)) {
		dm_task_destroy(*task);
		return -EINVAL;
	}
	return 0;
}

/* Runs a task that makes or removes nodes in /dev. */
static int run_with_nodes(struct dm_task *task)
{
	u32 cookie = 0;
	int r;

	if (!dm_task_set_cookie(task, &cookie, 0))
		return -ENOMEM;
	r = run(task);
	dm_udev_wait(cookie);
	return r;
}

int cdp_control_has_target(const char *target)
{
	struct dm_task *task;
	int r;

	r = new_task(&task, DM_DEVICE_GET_TARGET_VERSION, target);
	if (r)
		return r;
	r = run(task);
	dm_task_destroy(task);
	if (r == -EINVAL || r == -ENXIO)
		return 0;
	return r ? r : 1;
}

int cdp_device_create(const struct cdp_device_spec *spec)
{
	struct dm_task *task;
	int r;

	r = new_task(&task, DM_DEVICE_CREATE, spec->name);
	if (r)
		return r;
	r = -ENOMEM;
	if (dm_task_set_uuid(task, spec->uuid) &&
	    dm_task_add_target(task, 0, spec->sectors, spec->target, spec->params) &&
	    (!spec->read_only || dm_task_set_ro(task)))
		r = run_with_nodes(task);
	dm_task_destroy(task);
	return r;
}

int cdp_device_remove(const char *name)
{
	struct dm_task *task;
	int r;

	r = new_task(&task, DM_DEVICE_REMOVE, name);
	if (r)
		return r;
	dm_task_retry_remove(task);
	r = run_with_nodes(task);
	dm_task_destroy(task);
	return r == -ENXIO ? -ENODEV : r;
}

/* Target n of the table, of those that have the type (NULL: any); 1: it has none. */
struct pick {
	const char *type;
	unsigned int n;
};

static const struct pick first_target;

static int fill_target(struct cdp_device *device, struct dm_task *task, const struct pick *pick)
{
	unsigned int left = pick->n + 1;
	char *target, *params;
	uint64_t start, length;
	void *next = NULL;

	do {
		next = dm_get_next_target(task, next, &start, &length, &target, &params);
		if (!pick->type || (target && !strcmp(target, pick->type)))
			left--;
	} while (left && next);
	if (left)
		return 1;
	device->sectors = target ? length : 0;
	snprintf(device->target, sizeof(device->target), "%s", target ? target : "");
	device->params = strdup(params ? params : "");
	return device->params ? 0 : -ENOMEM;
}

static int fill(struct cdp_device *device, struct dm_task *task, const struct pick *pick)
{
	const char *name, *uuid;
	struct dm_info info;

	if (!dm_task_get_info(task, &info))
		return -EIO;
	if (!info.exists)
		return -ENODEV;
	name = dm_task_get_name(task);
	uuid = dm_task_get_uuid(task);
	snprintf(device->name, sizeof(device->name), "%s", name ? name : "");
	snprintf(device->uuid, sizeof(device->uuid), "%s", uuid ? uuid : "");
	device->major = info.major;
	device->minor = info.minor;
	device->open_count = info.open_count;
	device->suspended = info.suspended;
	device->read_only = info.read_only;
	return fill_target(device, task, pick);
}

static int query(struct cdp_device *device, int type, const char *name, const struct pick *pick)
{
	struct dm_task *task;
	int r;

	memset(device, 0, sizeof(*device));
	r = new_task(&task, type, name);
	if (r)
		return r;
	r = run(task);
	if (!r)
		r = fill(device, task, pick);
	dm_task_destroy(task);
	return r == -ENXIO ? -ENODEV : r;
}

int cdp_device_table(struct cdp_device *device, const char *name)
{
	return query(device, DM_DEVICE_TABLE, name, &first_target);
}

int cdp_device_status(struct cdp_device *device, const char *name)
{
	return query(device, DM_DEVICE_STATUS, name, &first_target);
}

void cdp_device_exit(struct cdp_device *device)
{
	free(device->params);
	device->params = NULL;
}

void cdp_device_list_free(struct cdp_device *list, unsigned int nr)
{
	while (nr)
		cdp_device_exit(&list[--nr]);
	free(list);
}

static int list_append(struct cdp_device **list, unsigned int *nr, const char *name,
		       const struct pick *pick)
{
	struct cdp_device device, *more;
	int r;

	r = query(&device, DM_DEVICE_TABLE, name, pick);
	if (r)
		return r;
	more = realloc(*list, (*nr + 1) * sizeof(**list));
	if (!more) {
		cdp_device_exit(&device);
		return -ENOMEM;
	}
	*list = more;
	more[(*nr)++] = device;
	return 0;
}

/* The device once for each target that is wanted: a table may have several. */
static int list_device(struct cdp_device **list, unsigned int *nr, const char *name,
		       const char *target)
{
	struct pick pick = { .type = target };
	int r;

	do {
		r = list_append(list, nr, name, &pick);
		pick.n++;
	} while (!r && target);
	return r == 1 || r == -ENODEV ? 0 : r;	/* ENODEV: removed since it was listed */
}

int cdp_device_list(const char *target, struct cdp_device **list, unsigned int *nr)
{
	struct dm_names *names;
	struct dm_task *task;
	int r;

	*list = NULL;
	*nr = 0;
	r = new_task(&task, DM_DEVICE_LIST, NULL);
	if (r)
		return r;
	r = run(task);
	names = r ? NULL : dm_task_get_names(task);
	if (names && !names->dev)
		names = NULL;
	while (names && !r) {
		r = list_device(list, nr, names->name, target);
		names = names->next ? (void *)((char *)names + names->next) : NULL;
	}
	dm_task_destroy(task);
	if (r) {
		cdp_device_list_free(*list, *nr);
		*list = NULL;
		*nr = 0;
	}
	return r;
}

int cdp_device_message(const char *name, const char *message, char **reply)
{
	struct dm_task *task;
	const char *text;
	int r;

	*reply = NULL;
	r = new_task(&task, DM_DEVICE_TARGET_MSG, name);
	if (r)
		return r;
	r = -ENOMEM;
	if (dm_task_set_sector(task, 0) && dm_task_set_message(task, message))
		r = run(task);
	if (!r) {
		text = dm_task_get_message_response(task);
		*reply = strdup(text ? text : "");
		r = *reply ? 0 : -ENOMEM;
	}
	dm_task_destroy(task);
	/* An unknown device, not a mark or volume that there is not (-ENOENT). */
	return r == -ENXIO ? -ENODEV : r;
}
