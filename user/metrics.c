// SPDX-License-Identifier: GPL-2.0
/* The list of samples and its text: see metrics.h. */
#define _GNU_SOURCE /* open_memstream */
#include "metrics.h"

#include <errno.h>

static const struct {
	const char *name;
	const char *type;
	const char *help;
} rows[] = {
#define X(NAME, name, type, help) { name, #type, help },
	METRICS(X)
#undef X
};

void metrics_free(struct metrics *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		free(m->samples[i].labels);
	free(m->samples);
	*m = (struct metrics){};
}

/* ---- labels ---- */

#define REPLACEMENT 0xfffd
#define REPLACEMENT_TEXT "\xef\xbf\xbd"

/* The bytes of the UTF-8 character that text begins with; 0: it begins with none that can be shown.
 * The replacement character is none, since it stands for a byte that is not shown. */
static size_t character(const char *text)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *byte = (const unsigned char *)text;
	unsigned int code = byte[0];
	size_t i, length = 1;

	if (code >= 0xf8 || (code & 0xc0) == 0x80)
		return 0;
	if (code >= 0x80) {
		length = code >= 0xf0 ? 4 : code >= 0xe0 ? 3 : 2;
		code &= 0x7fU >> length;
	}
	for (i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (byte[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	if ((code < 0x20 && code != '\n') || (code >= 0x7f && code < 0xa0) || code == REPLACEMENT)
		return 0;
	return length;
}

/* No two values are written alike: the same sample twice spoils the whole file for its readers. */
static void put_value(FILE *out, const char *value)
{
	size_t length;

	for (; *value; value += length ? length : 1) {
		length = character(value);
		if (!length)
			fprintf(out, REPLACEMENT_TEXT "%02x", (unsigned char)*value);
		else if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fwrite(value, 1, length, out);
	}
}

/* NULL: out of memory. */
static char *format_labels(const struct metric_label *labels)
{
	char *text = NULL;
	size_t i, size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (i = 0; i < METRIC_LABELS && labels[i].name; i++) {
		fprintf(out, "%s%s=\"", i ? "," : "", labels[i].name);
		put_value(out, labels[i].value);
		fputc('"', out);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

void metrics_put(struct metrics *m, enum metric metric, unsigned long long value,
		 const struct metric_label labels[METRIC_LABELS + 1])
{
	struct metric_sample *more = reallocarray(m->samples, m->count + 1, sizeof(*more));
	char *text;

	if (more)
		m->samples = more;
	text = more ? format_labels(labels) : NULL;
	if (!text) {
		m->incomplete = true;
		return;
	}
	m->samples[m->count++] = (struct metric_sample){ metric, text, value };
}

/* ---- as text ---- */

/* The samples of a metric stand together, whatever the order they were gathered in. */
static void write_metric(const struct metrics *m, enum metric metric, FILE *out)
{
	bool begun = false;
	size_t i;

	for (i = 0; i < m->count; i++) {
		const struct metric_sample *s = &m->samples[i];

		if (s->metric != metric)
			continue;
		if (!begun)
			fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[metric].name,
				rows[metric].help, rows[metric].name, rows[metric].type);
		begun = true;
		fprintf(out, s->labels[0] ? "%s{%s} %llu\n" : "%s%s %llu\n", rows[metric].name,
			s->labels, s->value);
	}
}

int metrics_write(const struct metrics *m, FILE *out)
{
	size_t i;

	errno = 0;
	for (i = 0; i < METRIC_COUNT; i++)
		write_metric(m, (enum metric)i, out);
	fputs("# EOF\n", out);
	if (fflush(out) || ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}
