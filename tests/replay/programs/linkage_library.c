/* The library of linkage.c. */
void far(void)
{
}
