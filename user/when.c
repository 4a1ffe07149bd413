// SPDX-License-Identifier: GPL-2.0
/* Times since boot and of the clock: see when.h. */
#define _GNU_SOURCE /* strptime */

#include "when.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define NS_PER_S 1000000000LL
#define S_PER_DAY 86400

static long long read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

struct now now_read(void)
{
	return (struct now){
		.boot = (__u64)read_clock(CLOCK_BOOTTIME),
		.wall = read_clock(CLOCK_REALTIME),
	};
}

long long now_real(const struct now *now)
{
	return now->wall / NS_PER_S;
}

long long when_real(const struct now *now, __u64 boot)
{
	return (now->wall - ((long long)now->boot - (long long)boot)) / NS_PER_S;
}

__u64 when_real_ns(__u64 boot)
{
	const struct now now = now_read();

	return (__u64)now.wall - (now.boot - boot);
}

enum style { STYLE_DAY, STYLE_TIME, STYLE_SHORT_DAY, STYLE_LONG };

static const char *format(time_t when, enum style style, char buf[WHEN_TEXT_LEN])
{
	struct tm tm;

	if (!localtime_r(&when, &tm) ||
	    !strftime(buf, WHEN_TEXT_LEN,
		      style == STYLE_DAY       ? "%F" :
		      style == STYLE_TIME      ? "%T" :
		      style == STYLE_SHORT_DAY ? "%d %b" :
						 "%F %T",
		      &tm))
		strcpy(buf, "?");
	return buf;
}

const char *when_short(const struct now *now, __u64 boot, char buf[WHEN_TEXT_LEN])
{
	time_t when = when_real(now, boot);
	char today[WHEN_TEXT_LEN], day[WHEN_TEXT_LEN];

	format(now_real(now), STYLE_DAY, today);
	format(when, STYLE_DAY, day);
	return format(when, streq(today, day) ? STYLE_TIME : STYLE_SHORT_DAY, buf);
}

const char *when_long(const struct now *now, __u64 boot, char buf[WHEN_TEXT_LEN])
{
	return format(when_real(now, boot), STYLE_LONG, buf);
}

const char *when_long_ago(long long seconds, char buf[WHEN_TEXT_LEN])
{
	static const struct {
		long long seconds;
		const char *word;
	} units[] = { { S_PER_DAY, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	long long count;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(units) - 1 && seconds < units[i].seconds; i++)
		;
	count = seconds < 0 ? 0 : seconds / units[i].seconds;
	snprintf(buf, WHEN_TEXT_LEN, "%lld %s%s", count, units[i].word, count == 1 ? "" : "s");
	return buf;
}

/* A number with its unit. -EINVAL: it is none. */
static int parse_ago(const char *text, long long *ret_seconds)
{
	static const struct {
		const char *name;
		long long seconds;
	} units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", S_PER_DAY } };
	long long count;
	char *end;
	size_t i;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	count = strtoll(text, &end, 10);
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (!errno && streq(end, units[i].name) && count <= 1000000000) {
			*ret_seconds = count * units[i].seconds;
			return 0;
		}
	}
	return -EINVAL;
}

/* The whole text in one of these formats; what it leaves open is 0, or of today. */
static int parse_clock(const char *text, const struct now *now, time_t *ret)
{
	static const struct {
		const char *format;
		bool of_today;
	} formats[] = {
		{ "%Y-%m-%d %H:%M:%S", false }, { "%Y-%m-%d %H:%M", false }, { "%Y-%m-%d", false },
		{ "%H:%M:%S", true }, { "%H:%M", true },
	};
	time_t today = now_real(now), when;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		struct tm tm = {};
		const char *end;

		if (formats[i].of_today)
			localtime_r(&today, &tm);
		tm.tm_sec = 0;
		tm.tm_isdst = -1;
		end = strptime(text, formats[i].format, &tm);
		if (!end || *end)
			continue;
		when = mktime(&tm);
		*ret = formats[i].of_today && when > today ? when - S_PER_DAY : when;
		return 0;
	}
	return -EINVAL;
}

int when_parse(const char *text, const struct now *now, __u64 *ret, struct err *e)
{
	long long ago = 0;  /* s */
	__u64 fraction = 0; /* ns: of the clock's second, which began so long ago */
	time_t when;
	int r = parse_ago(text, &ago);

	if (r) {
		r = parse_clock(streq(text, "today") ? "00:00" : text, now, &when);
		ago = r ? 0 : now_real(now) - when;
		fraction = (__u64)(now->wall % NS_PER_S);
	}
	if (r)
		return err_set(e, r, "'%s' is no time; write '10min', '2h', '1d', 'today', '13:30' or "
			       "'2026-11-22 13:30'", text);
	if (ago < 0)
		return err_set(e, -EINVAL, "'%s' is yet to come", text);
	*ret = (__u64)ago >= now->boot / NS_PER_S ?
		       0 :
		       now->boot - (__u64)(ago * NS_PER_S) - fraction;
	return 0;
}
