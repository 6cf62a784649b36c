/*
 * conn -- what libmilter takes for a socket and nobody can have meant.
 *
 * Of a number it keeps the lowest 16 bits, and of "25x" the 25.  All else it refuses by itself.
 */
#include "proxy/hosts/conn.h"

#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#define PORT_MAX 65535

const char *
conn_fault(const char *socket)
{
	const char   *port = NULL;
	char         *end;
	unsigned long n;

	if (strncasecmp(socket, "inet:", 5) == 0)
		port = socket + 5;
	else if (strncasecmp(socket, "inet6:", 6) == 0)
		port = socket + 6;
	/* A name is one of /etc/services. */
	if (port == NULL || *port < '0' || *port > '9')
		return NULL;
	n = strtoul(port, &end, 10);
	if (n > 0 && n <= PORT_MAX && (*end == '@' || *end == '\0'))
		return NULL;
	return "the port must be a number from 1 to 65535";
}
