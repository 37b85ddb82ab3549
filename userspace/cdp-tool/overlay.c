// SPDX-License-Identifier: GPL-2.0-only
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "busy.h"
#include "online.h"

enum { CHUNK_SECTORS = 8, LOOP_TRIES = 16 };

static const char remedy[] = "--no-replay mounts without it";

/* A file in memory that is as large as the device; pages come as they are written. */
static int memory_file(u64 bytes)
{
	int fd = memfd_create("cdp-overlay", MFD_CLOEXEC);

	int error;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, bytes))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int try_loop(int control, int file)
{
	struct loop_config config = { .fd = file, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int n = ioctl(control, LOOP_CTL_GET_FREE), fd;
	char path[32];

	if (n < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/loop%d", n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_CONFIGURE, &config)) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

/* A loop device on the file; it goes when the last user closes it.  Another may be quicker. */
static int open_loop(int file)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), i, fd = -EBUSY;

	if (control < 0)
		return -errno;
	for (i = 0; i < LOOP_TRIES && fd == -EBUSY; i++)
		fd = try_loop(control, file);
	close(control);
	return fd;
}

static int create(const char *name, const struct cdp_device *view, int loop)
{
	char params[128], uuid[CDP_DM_UUID_SIZE];
	struct cdp_device_spec spec = {
		.name = name, .uuid = uuid, .sectors = view->sectors, .target = "snapshot",
		.params = params,
	};
	struct stat st;

	if (fstat(loop, &st))
		return -errno;
	if (cdp_uuid_make(uuid, CDP_UUID_OVERLAY, view->name))
		return -ENAMETOOLONG;
	snprintf(params, sizeof(params), "%u:%u %u:%u N %d", view->major, view->minor,
		 major(st.st_rdev), minor(st.st_rdev), CHUNK_SECTORS);
	return cdp_device_create(&spec);
}

static int create_on_memory(const char *name, const struct cdp_device *view)
{
	int file, loop, r;

	file = memory_file(view->sectors * 512);
	if (file < 0)
		return fail_errno(file, "memory to replay the journal in");
	loop = open_loop(file);
	close(file);
	if (loop < 0)
		return fail(EXIT_FAILED,
			    "no loop device to replay the journal on (%s); 'modprobe loop' may help, %s",
			    strerror(-loop), remedy);
	r = create(name, view, loop);
	close(loop);
	if (!r)
		return 0;
	return fail(EXIT_FAILED,
		    "%s: no snapshot to replay the journal on (%s); 'modprobe dm-snapshot' may help, %s",
		    name, strerror(-r), remedy);
}

static int overlay_name(char name[CDP_DM_NAME_SIZE], const char *view)
{
	int len = snprintf(name, CDP_DM_NAME_SIZE, "%s%s", view, OVERLAY_SUFFIX);

	return len < CDP_DM_NAME_SIZE ? 0 : fail(EXIT_USAGE, "the name '%s' is too long", view);
}

int overlay_open(char name[CDP_DM_NAME_SIZE], const char *view)
{
	struct cdp_device device;
	int r;

	r = overlay_name(name, view);
	if (r)
		return r;
	r = cdp_device_table(&device, view);
	if (r)
		return fail_errno(r, "view '%s'", view);
	r = create_on_memory(name, &device);
	cdp_device_exit(&device);
	return r;
}

const char *overlay_view(const struct cdp_device *device)
{
	size_t len = strlen(CDP_UUID_OVERLAY);

	return strncmp(device->uuid, CDP_UUID_OVERLAY, len) ? NULL : device->uuid + len;
}

int overlay_find(struct cdp_device *overlay, const char *view)
{
	char name[CDP_DM_NAME_SIZE];
	const char *of;
	int r;

	memset(overlay, 0, sizeof(*overlay));
	r = overlay_name(name, view);
	if (r)
		return 0;
	r = cdp_device_table(overlay, name);
	if (r && r != -ENODEV)
		return fail_errno(r, "device '%s'", name);
	of = r ? NULL : overlay_view(overlay);
	if (!of || strcmp(of, view)) {
		cdp_device_exit(overlay);
		memset(overlay, 0, sizeof(*overlay));
	}
	return 0;
}

int view_refuse_open(const struct cdp_device *view, const char *directory)
{
	const struct holders_known mounted = { .opens = !!directory, .directory = directory };
	const struct holders_known stacked = { .opens = 1, .stacked = true };
	struct cdp_device overlay;
	int r;

	r = overlay_find(&overlay, view->name);
	if (r)
		return r;
	r = refuse_open(*overlay.name ? &overlay : view, view->name, &mounted);
	if (!r && *overlay.name)	/* which itself holds the view once */
		r = refuse_open(view, view->name, &stacked);
	cdp_device_exit(&overlay);
	return r;
}

int view_remove(const char *view)
{
	struct cdp_device overlay;
	int r;

	r = overlay_find(&overlay, view);
	if (r)
		return r;
	if (*overlay.name) {
		r = cdp_device_remove(overlay.name);
		cdp_device_exit(&overlay);
	}
	if (!r)
		r = cdp_device_remove(view);
	return r ? fail_errno(r, "close %s", view) : 0;
}
