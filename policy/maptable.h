/*
 * maptable -- keys and their lists of values: what a map of the configuration is at run time.  Open
 * addressing with a keyed hash, since strangers choose what is looked up; built once, then only read.
 * A list of values that several keys have is kept once.
 */
#ifndef POLICY_MAPTABLE_H
#define POLICY_MAPTABLE_H

#include "proxy/base/hash.h"

struct maptable;

/* The values of one key; views live as long as the table. All zero: none. */
struct map_values {
	const char *at;                 /* of the next, the table's own shape */
	unsigned    n;                  /* still to come */
};

struct map_place { uint32_t line, col; };

struct maptable *maptable_new(const struct hash_key *key);
/*
 * Copies key (folded to lower case) and values (as they are, n of them).  False: the key is there
 * already, and *place, where the caller's stood, becomes the place of the first.
 */
bool maptable_add(struct maptable *t, struct strv key, const struct strv *v, unsigned n, struct map_place *place);
/* Gives back what growing left over. Behind it nothing more is added. */
void maptable_seal(struct maptable *t);
/* Exactly this key, ASCII case folded. *out is set where it is there. */
bool maptable_find(const struct maptable *t, struct strv key, struct map_values *out);
size_t maptable_count(const struct maptable *t);
/* All keys in the order of adding: from 0 in *at, false behind the last. */
bool maptable_next(const struct maptable *t, size_t *at, struct strv *key);
size_t maptable_octets(const struct maptable *t);       /* of memory, for tests */
void maptable_free(struct maptable *t);

/* Cuts the first of *v off into *out; false: there is none. */
bool map_values_next(struct map_values *v, struct strv *out);

#endif
