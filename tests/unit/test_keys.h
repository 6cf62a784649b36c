/* test_keys -- keys of these tests alone, made for them: nobody signs mail with them. */
#ifndef TESTS_UNIT_TEST_KEYS_H
#define TESTS_UNIT_TEST_KEYS_H

#define KEY_RSA_1024 \
	"-----BEGIN RSA PRIVATE KEY-----\n" \
	"MIICXQIBAAKBgQDiCQazgy7cJRKrGcPP+QGfW8QUROscw5cmH7BYEdh+HVNuYJJa\n" \
	"b/mez1quV4pTNmg8rbTYu/LaQc1YxXedtPmcdEDwNDncyDcHTbMpulag76opnAvo\n" \
	"LN3adUhzDonYsYwue55oyi8aQIBdO+QY5yXFf1U4DqWRed/5acoqesHjJwIDAQAB\n" \
	"AoGACNp/p7JguIC/PXJx6AiB1sMaaAzXBLZoija9ioWQbEgrx2wC74XpSh4nGCMX\n" \
	"qPC9nnrTVZXvCjt/lpWNfODk0fgegodRBEy0O9tAS4iiVhzzKncUGXtKx5PC9mwS\n" \
	"wlFXVCeDnQfa84P7ztWbBrUyIpyqJy3a10pMB94U3pUO9bECQQD/vsJK1j2XAGS/\n" \
	"f5srZ1FODylDjfUloEFaoKQhzFfmawY3rda+MejmhfVS432LCIp/PjYGxrR6ntt9\n" \
	"Zgo3IBW/AkEA4kKwLEB01gJr9M5BYGAHM2EEtZS7JFW+v0BfbRI7eRbWAYtkhkGr\n" \
	"IAEbFDK9C6Zf6166Oe6BiIv+5aLJzswcmQJBAJJwEiRz5DRQf1+/m4QQ1tdRixkp\n" \
	"cdOnnYRdM14++Z3wblD3c1zYizlkPwLFTB+ONm+BmcHriXAlAh0djn/eGVUCQQDG\n" \
	"mm71iOaFa77DNcChDemEKebuVE0oibNTQPgCT3ywv2C+HlLwnffNserJAfh6n2GW\n" \
	"wqGIdFhzOR9XBltKEFQRAkAZEcoal0GhBBt1xztdyqUz20Mi4H05cRAaB55BbN++\n" \
	"gwj9VclRWJbr7iKOjil48lDj0mWmywA15oG6cwxUJ1n3\n" \
	"-----END RSA PRIVATE KEY-----\n"

#define KEY_RSA_2048 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCyOXM0aud6/l7x\n" \
	"ZmdUu2DXnrXrFPITpn3MU+nurZqWjRZZfTdm4sOPkjOE0vG/ghBAmFLmdErzMwvo\n" \
	"DAnsrbJW2W8VYvW35ckbIUjak6wN6BqL49VG9BZigR+kTSN/0BqT3CnpmfvTDAaq\n" \
	"cXp8TVKjloc5OliTvNOV/8il4wMRehYd21DEYB+t20HbF6kSd0uEgbk7hcrGSRJi\n" \
	"t6A5zqeNTGcuVxyctf9GV9F+JIv3WmSx+Tt0QrLnz55mEYILQH9OFBxh73r6HBKn\n" \
	"Ex3YSqfJl7VToXC5xlU+L9EyKW4vp30EBum/f2pWgjjue1UiuttQmXPEjtQhhzx2\n" \
	"9HLiGXCXAgMBAAECggEAVg9DwAX3LP7znaGTN+kbREMRGSkOE8sLZ8UFawlNYnFS\n" \
	"X3gFbpsFT6iLVBIARjdp3acwMLPrFTCLCUv25uChAysPZsZYXKqKx5z07wbrx/NS\n" \
	"Dka/z/lBbeNoAhB1mdxFWSyw2GpQnYJrHZaaTLeRtgiT12CDMSO3D/FpVCEgdCkv\n" \
	"angV73H+/JH5cIuZwGq86useuNaXvNBqEzd2yswPtlZNBmyPQBufldPtF+AnzxlM\n" \
	"CCsXMGxVg3Szzn7i3q5SnBD46UP6U9nHkGNV7nwWZQ7ovkAkdCr9BsU00pfY9i0Q\n" \
	"5uAAWAODQX8HtlDBt/dDL3RApXJ8lAhAf2jPJq+v0QKBgQDcxbeAH9GhUCfkgcpB\n" \
	"c/QWGN0cWdhzIqN439S4TCqhKiWWJiVk2P3Nf608rmxSko8vsRm5lcBN5CErbCIZ\n" \
	"uuQlcLgfPxFPZgA8fteerB1PYT+HhIWCtO2ppa+iug1VfKzf5zOYcEBt8V9axvCT\n" \
	"9ayC020+7rj3HfGg8L1g1es1bQKBgQDOqbPBkVpL9sMfdcTaDY+jtyJC/dFia1Od\n" \
	"EtnDyEbMLA/lZT4to6Eodh16Gfy6gg13jUgHWYWhgmCV7ey+OlC5XbXnV1hjuJNG\n" \
	"RrCttGuQBYuIWne5PZcvLmnLCOf80pOHWjOCCl+PY5zx0TUJv8JT1vybZXJxe/tN\n" \
	"5ngvtS3vkwKBgQDH7+d3iVl4FfeK4mAhVrm/KVVVz6hO3Rfe6BblsVUKD/lqObGz\n" \
	"2zA/Y1moku5W+ZPjRShfAlfeMrQ3dv6K/s6Peb3FzoAGwAGGx/jOImGI+jFmsYWY\n" \
	"EfMKqJqfbI+W1Apb3C7F5yLybp5Ev9YwqVVKRd+yFtA8PEoPzvYzNIiHIQKBgBP2\n" \
	"ytmpK/ropKLWYqTZ6IVdPJ8SG/cQ/SvQVV8Xatdwbjyv0hjglMHu3xwbhJGT3K8u\n" \
	"48Vp/YHDsYbqTBN4WLH/foIRqwU/IGMKkyjEpBtunbMXYjdv3rn9FtU5UAfZY80Q\n" \
	"hqdKTz7v1Yp6tk/xyVkGDLMKUsrpujYlTHj3XK+nAoGAFA9Fsa7H2CHPVV8kpme/\n" \
	"/jF6svwGfIwIXTV64WUo3aEthE8PKhRYixdEQwaCTmvKMDIM10ZQnc5gLVPWaV8F\n" \
	"z6Jt4kexuosGhyT94beBpmv7ueePEE+99RoQb1koZHAvxZVoAi7mi69W4nR4gso2\n" \
	"v4YRG0pEoQRquCqT1c7mtek=\n" \
	"-----END PRIVATE KEY-----\n"

#define KEY_RSA_512 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEAxqVhBX8j9b+vi9q2\n" \
	"mXPsRpQZBfOn1j0EyWj6yh0AKHmoCbQGKWeFT5UZ70MAIMnPxr7FcWn3VTYbmZnc\n" \
	"MQ1ovwIDAQABAkAvCrsPMiyx5dMMq57SeEFb9XZ3klwMwCaCC/pYIsYGz10++1ip\n" \
	"gUtEV2epPRQA9z7nsdChhYhL1UCVdX60uXgBAiEA+bYmJnWnAEbQiTfG2+CY516F\n" \
	"x4fLh1VegpCtfJDrll8CIQDLpgTGSTqigAO1IHIogXUALVttfqFxS+QPnv38wHWJ\n" \
	"oQIhAKr2JzZrlHOfCAT6F/7PzT+Sulq6QQEd1H/ll7FR8slXAiAdArF7bcMkkwf0\n" \
	"LYMVshtwwwVbO8bT1PPQJd4Yu3IDAQIgW2J5aNy+i6Un8y6NSCsIuvYHTiH96XfS\n" \
	"7evLA7JeNf4=\n" \
	"-----END PRIVATE KEY-----\n"

#define KEY_ED25519 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MC4CAQAwBQYDK2VwBCIEIHIOoG06kjTk8BdWBtyT/5OsMVI5p/d1LVZNRXxFhqYg\n" \
	"-----END PRIVATE KEY-----\n"

#define KEY_ENCRYPTED \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" \
	"MIIC3TBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQINZlNudUtFRcCAggA\n" \
	"MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAECBBAHNM1abyHi/4iDJEki7a8ABIIC\n" \
	"gOm+YmDW4+uhMtNWP9LXeW1m/hONRGguV1oghVGHmyJQN5DHOduN6/Pay+SUFp4P\n" \
	"JC71sbqxsmEXq40ZK1MEis8ANkmSFOWA/1AwAKO/4/091lbyj6sH8x4DVknuOrje\n" \
	"JJIWRzDNMGeaRih9fKNpqYxzwx3YyfNMfH6kNnTp1xd6fHdn1oCczsdjzlswtOS6\n" \
	"KTQhQY8A7aVZ6mdceugCra8uYF5JoaRsizk+SVmmlhn6TQ/7kylHGpgHUjwRdlVP\n" \
	"fJAUvaCKAX1f4F/8t14ZGHBmFAwaQvab9xIOKW1S/CAbazq0q+5IolICfRUhNLsy\n" \
	"K3of2UbpS1+U4queUFXhcz95EHljtxN928/b0H6kkiCCzGL8Jph/TwyTtI+xKAf9\n" \
	"FAqTUqdaLxff0lPwM6xCoho5lCWRuQf4IxU2XFds0tgiZKyA5C+zR17+oB5d0AOY\n" \
	"iqSW+ZLUMtSo82sw94ja66zugfDS/e9B3cxvBywwZvOTSk/fEl1f9GeaUPPeGlY1\n" \
	"VcM3WT5tnHt0vGhTHwKWmagajY6suOUmi0k3jjz+FajY256suQkD/Q5iVCjzzODz\n" \
	"qRxjx3OKpTWRdh4lGXa8MV/OpF4e+tW8ut1zkpLDFHQa4l17OY14+xOFHVTbpRgU\n" \
	"PBFu9dERfAz0akfRSfITKZO20gwX1jK5+36sZtjRNMkLu2yxh2gV/dtYmf0lYaLw\n" \
	"6vOQetp0ywaAAcuEWdjTQkCg5+PMGbX/4t/MvvbwQ7k53PNBH/FZsGXCN1BLDO8Z\n" \
	"/4o4ZKF5+YJuSARqzfxaW8R4rCqYqAHLvDkHKQ5k3cV0Hdu9B09NxCVDFXMJpNNC\n" \
	"SYSQzqBHUKyUE8FoZ/mSj+8=\n" \
	"-----END ENCRYPTED PRIVATE KEY-----\n"

#define KEY_EC \
	"-----BEGIN EC PRIVATE KEY-----\n" \
	"MHcCAQEEIPb1xmFOjaytYjA561BARoBs9B0tfJBnNv9oCNojEuCBoAoGCCqGSM49\n" \
	"AwEHoUQDQgAEuR2FUHzDp0HlyKRHxWgpocqIwyYpjxnQg5LlULJbQzO+5wa7p2qZ\n" \
	"gEAz71HC08RcXP9TYjfatMvGMkp2yHmvrQ==\n" \
	"-----END EC PRIVATE KEY-----\n"

#endif
