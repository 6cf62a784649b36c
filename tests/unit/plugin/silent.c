/*
 * silent -- its plugin_init forgets smfi_register.
 */
int
plugin_init(void)
{
	return 0;
}
