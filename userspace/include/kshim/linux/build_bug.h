/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KSHIM_LINUX_BUILD_BUG_H
#define KSHIM_LINUX_BUILD_BUG_H

#include <assert.h>

/* As in the kernel, the message may be left out. */
#undef static_assert
#define static_assert(expr, ...) _Static_assert(expr, #expr)

#endif
