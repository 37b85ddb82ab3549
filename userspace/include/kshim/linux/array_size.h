/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KSHIM_LINUX_ARRAY_SIZE_H
#define KSHIM_LINUX_ARRAY_SIZE_H

#undef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
