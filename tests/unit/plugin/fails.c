/*
 * fails -- its plugin_init says that it failed.
 */
int
plugin_init(void)
{
	return 7;
}
