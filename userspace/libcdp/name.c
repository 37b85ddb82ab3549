// SPDX-License-Identifier: GPL-2.0-only
#include "name.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

static int copy(char name[CDP_NAME_SIZE], const char *text, size_t len)
{
	if (len >= CDP_NAME_SIZE)
		return -EINVAL;
	memset(name, 0, CDP_NAME_SIZE);
	memcpy(name, text, len);
	return cdp_name_valid(name) ? 0 : -EINVAL;
}

int cdp_name_copy(char name[CDP_NAME_SIZE], const char *text)
{
	return copy(name, text, strlen(text));
}

static int copy_pool(struct cdp_path *path, const char *text, size_t len)
{
	path->volume[0] = '\0';
	return len > CDP_POOL_NAME_MAX ? -EINVAL : copy(path->pool, text, len);
}

int cdp_path_parse_pool(struct cdp_path *path, const char *text)
{
	return copy_pool(path, text, strlen(text));
}

int cdp_path_parse_volume(struct cdp_path *path, const char *text)
{
	const char *slash = strchr(text, '/');
	int r;

	if (!slash)
		return -EINVAL;
	r = copy_pool(path, text, slash - text);
	return r ? r : cdp_name_copy(path->volume, slash + 1);
}

int cdp_path_parse(struct cdp_path *path, const char *text)
{
	return strchr(text, '/') ? cdp_path_parse_volume(path, text) :
				   cdp_path_parse_pool(path, text);
}

void cdp_path_device(char name[CDP_DM_NAME_SIZE], const struct cdp_path *path)
{
	snprintf(name, CDP_DM_NAME_SIZE, "%s%s%s", path->pool, *path->volume ? "-" : "",
		 path->volume);
}

static int fits(int len, size_t size)
{
	return len >= 0 && (size_t)len < size ? 0 : -ENAMETOOLONG;
}

int cdp_path_view(char name[CDP_DM_NAME_SIZE], const struct cdp_path *path, const char *instant)
{
	return fits(snprintf(name, CDP_DM_NAME_SIZE, "%s-%s@%s", path->pool, path->volume,
			     instant), CDP_VIEW_NAME_MAX + 1);
}

int cdp_view_name_check(const char *name)
{
	if (strlen(name) > CDP_VIEW_NAME_MAX || !isalnum((unsigned char)*name))
		return -EINVAL;
	while (*name && (isalnum((unsigned char)*name) || strchr("._+:-", *name)))
		name++;
	return *name ? -EINVAL : 0;
}

int cdp_uuid_make(char uuid[CDP_DM_UUID_SIZE], const char *prefix, const char *name)
{
	return fits(snprintf(uuid, CDP_DM_UUID_SIZE, "%s%s", prefix, name), CDP_DM_UUID_SIZE);
}
