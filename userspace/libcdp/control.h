/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control of device-mapper devices.
 *
 * Thin: one call is one ioctl (create: three, list: one and one per device).  Returns 0
 * or -errno and prints nothing.  Not for several threads at once: libdevmapper is not.
 * A call that fails has changed nothing; create() removes what it could not finish.
 * -EOPNOTSUPP: the kernel has no device mapper.
 */
#ifndef LIBCDP_CONTROL_H
#define LIBCDP_CONTROL_H

#include "name.h"

struct cdp_device {
	char name[CDP_DM_NAME_SIZE];
	char uuid[CDP_DM_UUID_SIZE];
	u32 major, minor;
	u32 open_count;
	bool suspended;
	bool read_only;
	u64 sectors;
	char target[32];
	char *params;		/* of the table, or the status line */
};

struct cdp_device_spec {
	const char *name;
	const char *uuid;
	u64 sectors;
	const char *target;
	const char *params;
	bool read_only;
};

/* Before any other: libdevmapper shall print nothing. */
void cdp_control_init(void);

/* Does the kernel have the target, or can it load it?  1, 0 or -errno. */
int cdp_control_has_target(const char *target);

/* Waits for udev where udev runs, else makes the nodes in /dev/mapper itself. */
int cdp_device_create(const struct cdp_device_spec *spec);

/* -EBUSY while it is open. */
int cdp_device_remove(const char *name);

/* params: the table, or the status.  -ENODEV: there is none of that name. */
int cdp_device_table(struct cdp_device *device, const char *name);
int cdp_device_status(struct cdp_device *device, const char *name);
void cdp_device_exit(struct cdp_device *device);

/*
 * All devices with a target of that type, whoever made them: once for each such target, with its
 * table line.  NULL: all devices, each once.  *list is to be freed.
 */
int cdp_device_list(const char *target, struct cdp_device **list, unsigned int *nr);
void cdp_device_list_free(struct cdp_device *list, unsigned int nr);

/* *reply: the answer or an empty string, to be freed; NULL after an error. */
int cdp_device_message(const char *name, const char *message, char **reply);

#endif
