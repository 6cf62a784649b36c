/*
 * none -- a shared object that is no plugin.
 */
int none_of_it;
