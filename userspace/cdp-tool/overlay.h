/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A view that a file system can replay its journal on: the view beneath, what is written in
 * memory (a dm-snapshot of it, onto a loop device on a memfd).
 *
 * A file system that was mounted at the instant has its newest changes in its journal only;
 * without the replay they would not be seen.
 */
#ifndef CDP_TOOL_OVERLAY_H
#define CDP_TOOL_OVERLAY_H

#include "control.h"

/* <view>-rw; room for it is kept in the names of views. */
#define OVERLAY_SUFFIX "-rw"

/* The device's name to name; exit codes. */
int overlay_open(char name[CDP_DM_NAME_SIZE], const char *view);

/* The overlay of the view, with an empty name if it has none.  Exit codes. */
int overlay_find(struct cdp_device *overlay, const char *view);

/* Is the device an overlay?  Then the name of its view, else NULL. */
const char *overlay_view(const struct cdp_device *device);

/*
 * Refuses a view, or its overlay, that is in use.  directory: where it is mounted, which does not
 * count; or NULL.
 */
int view_refuse_open(const struct cdp_device *view, const char *directory);

/* Removes the view, and its overlay first. */
int view_remove(const char *view);

#endif
