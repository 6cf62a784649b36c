/*
 * dns_wire_name.c -- names in wire format (RFC 1035 3.1, 4.1.4), and how they are printed (5.1).
 *
 * A packet is a stranger's. A compression pointer only leads backwards and few of them belong to a name.  What is
 * printed stays inside a word, and is what is scanned again.
 */
#include "proxy/base/dns_wire_own.h"

#include "proxy/base/arena.h"

enum {
	LABEL_OCTETS = 63,
	POINTER = 0xc0,
	JUMPS = 128 /* pointers in one name: there are no more labels either */
};

static bool
add_label(struct wire_name *out, struct strv packet, size_t at, unsigned n)
{
	if (out->n + 1 + n + 1 > DNS_WIRE_NAME)
		return false;
	out->b[out->n++] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++)
		out->b[out->n++] = (uint8_t)ascii_lower(packet.p[at + i]);
	return true;
}

bool
wire_name_get(struct strv packet, size_t *at, size_t end, struct wire_name *out)
{
	size_t   pos = *at, low = *at;
	unsigned jumps = 0, n;

	out->n = 0;
	while (pos < end) {
		n = (uint8_t)packet.p[pos];
		if ((n & POINTER) == POINTER) {
			if (pos + 2 > end || jumps == JUMPS)
				return false;
			if (jumps++ == 0)
				*at = pos + 2;
			pos = (n & ~(unsigned)POINTER) << 8 | (uint8_t)packet.p[pos + 1];
			if (pos < DNS_HEADER)
				return false;
			end = low; /* only backwards: else the loop is over */
			low = pos;
			continue;
		}
		if (n > LABEL_OCTETS || pos + 1 + n > end)
			return false;
		if (n == 0) {
			if (jumps == 0)
				*at = pos + 1;
			out->b[out->n++] = 0;
			return true;
		}
		if (!add_label(out, packet, pos + 1, n))
			return false;
		pos += 1 + n;
	}
	return false;
}

bool
wire_name_eq(const struct wire_name *x, const struct wire_name *y)
{
	return x->n == y->n && memcmp(x->b, y->b, x->n) == 0;
}

/* RFC 1035 5.1 */
static unsigned
print_octet(uint8_t c, char out[4])
{
	if (c <= ' ' || c >= 0x7f) {
		out[0] = '\\';
		out[1] = (char)('0' + c / 100);
		out[2] = (char)('0' + c / 10 % 10);
		out[3] = (char)('0' + c % 10);
		return 4;
	}
	if (strchr(".\\\"();@$", c) != NULL) {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	out[0] = (char)c;
	return 1;
}

struct strv
wire_name_print(struct arena *a, const struct wire_name *name)
{
	char    *p = arena_bytes(a, 4 * (size_t)name->n + 1);
	size_t   n = 0;
	unsigned label;

	for (unsigned i = 0; (label = name->b[i]) != 0; i += 1 + label) {
		if (i > 0)
			p[n++] = '.';
		for (unsigned k = 1; k <= label; k++)
			n += print_octet(name->b[i + k], p + n);
	}
	p[n] = '\0';
	return strv(p, n);
}

/* One octet of printed text, its escape undone; *z moves behind it. -1: there is none such. */
static int
scan_octet(const char **z)
{
	const char *p = *z;
	int         c;

	if (p[0] != '\\') {
		*z = p + 1;
		return (uint8_t)p[0];
	}
	if (!ascii_is_digit(p[1])) {
		*z = p + 2;
		return p[1] == '\0' ? -1 : (uint8_t)p[1];
	}
	if (!ascii_is_digit(p[2]) || !ascii_is_digit(p[3]))
		return -1;
	c = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
	*z = p + 4;
	return c > 255 ? -1 : c;
}

bool
wire_name_scan(const char *z, struct wire_name *out)
{
	unsigned label = 0; /* where the length of the current one stands */
	int      c;

	out->n = 1;
	while (*z != '\0') {
		if (*z == '.') {
			if (out->n - label == 1 || out->n >= DNS_WIRE_NAME)
				return false;
			out->b[label] = (uint8_t)(out->n - label - 1);
			label = out->n++;
			z++;
			continue;
		}
		c = scan_octet(&z);
		if (c < 0 || out->n - label > LABEL_OCTETS || out->n >= DNS_WIRE_NAME - 1)
			return false;
		out->b[out->n++] = (uint8_t)ascii_lower((char)c);
	}
	if (out->n == 1)
		out->b[0] = 0;
	else if (out->n - label == 1)
		return false;
	else {
		out->b[label] = (uint8_t)(out->n - label - 1);
		out->b[out->n++] = 0;
	}
	return true;
}
