/*
 * arc_foreign -- messages that python3-dkim sealed twice, with the key KEY_RSA_1024 for s._domainkey.one.example.
 */
#ifndef TESTS_UNIT_ARC_FOREIGN_H
#define TESTS_UNIT_ARC_FOREIGN_H

#define FOREIGN_RELAXED \
	"ARC-Seal: i=2; cv=pass; a=rsa-sha256; d=one.example; s=s; t=1699990000;\r\n" \
	" b=CzrF6xOUiurM8Vgn2tqux3NuXE2sJGNeB6z945+L02zIaHBI4IT7DGJEN1XYLG/9vM4Gd\r\n" \
	" cmw9YhDf7ACQgbfFt5OYDUa5gGTgcZvDroIBlkIY5QbBBIYXNoIC4Udm4rATJQ18tyheJia\r\n" \
	" mq+lWkmtFiB9vzUUe9pnrXMkgsvd96c=\r\n" \
	"ARC-Message-Signature: i=2; a=rsa-sha256; c=relaxed/relaxed;\r\n" \
	" d=one.example; s=s; t=1699990000; h=from : to : subject : date :\r\n" \
	" message-id : from : x-none;\r\n" \
	" bh=aCrM7Yte6hSQiCMAQorrSx8PEh4zJElMi08gUlTnZIk=;\r\n" \
	" b=dpgBGmf6QRoDlvvZ+JvvBtnhjzKvGifNvQGG/j5yXHJbKUv4xBC68sGV8dyzqLpPFAZpo\r\n" \
	" q6w+h/0xdk2wqkRGteuDlMi6NqIFmN2X4EsAVYc3dNhNODjl6g6wg0bxULHJ+rlApRyIBfe\r\n" \
	" VLHKMOdVxXTAcUA2yGm6MDBoMaB2Q+E=\r\n" \
	"ARC-Authentication-Results: i=2; lists.example; arc=pass\r\n" \
	"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=one.example; s=s; t=1699990000;\r\n" \
	" b=fRs+TC69dvnvkzSX93HepW2Woh07KsQHYAEt1tnYg7/7S4DoG1oFUE8zJfGDIrLp9PsXm\r\n" \
	" npHoVW2VnMp5k0H5u2ZeaJdL8o8phljcZ4WSbkAWyjKg6mebPs4tf3JoxdKme0U+bFWZeLH\r\n" \
	" bT17DFhKkICY/B9NsYGaJtGiMXZpnHg=\r\n" \
	"ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed;\r\n" \
	" d=one.example; s=s; t=1699990000; h=from : to : subject : date :\r\n" \
	" message-id : from : x-none;\r\n" \
	" bh=aCrM7Yte6hSQiCMAQorrSx8PEh4zJElMi08gUlTnZIk=;\r\n" \
	" b=LbgeMemQ7IRSajCN/AaRxSeCHXPnlOTIbrkMyJ3pura5sYz3HHhxv19uAchzzW2ZvsWaT\r\n" \
	" 0OuW8jt2oJxXW16wd2gUmLElWuyAml7prlgW/XVCJM2YU2FCIcbBZ0ZMIIcibzjRpdNYzfc\r\n" \
	" 8up1t5ajKLlXsLmitGYBv7xBnsArUOI=\r\n" \
	"ARC-Authentication-Results: i=1; lists.example; spf=pass smtp.mailfrom=one.example;\r\n" \
	"  arc=none\r\n" \
	"From: A  <a@one.example>\r\n" \
	"To:b@two.example\r\n" \
	"Subject: hello\r\n" \
	" \tthere\r\n" \
	"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n" \
	"Message-ID: <1@one.example>\r\n" \
	"\r\n" \
	"Hello \t there \r\n" \
	"\r\n" \
	"  x\r\n" \
	"\r\n" \
	"\r\n"

#define FOREIGN_SIMPLE \
	"ARC-Seal: i=2; cv=pass; a=rsa-sha256; d=one.example; s=s; t=1699990000;\r\n" \
	" b=caYJUCMjIxBvZzz7ZPlVXP5ynnOL+mIJH8GFRlxlPEwehN7g64ivhPwSltQVehmEBS80p\r\n" \
	" pnaRwCiCb5CUcustCGbGcm6yapjNvuuBWAdzhQ9Eb7PtdlcXNJ5+qR/ooVNtOT+yFWmrUlu\r\n" \
	" w2Cq6LXN7Dtm0Huiq5Ct4HewjlRGVHA=\r\n" \
	"ARC-Message-Signature: i=2; a=rsa-sha256; c=relaxed/simple;\r\n" \
	" d=one.example; s=s; t=1699990000; h=from : to : subject : date :\r\n" \
	" message-id : from : x-none;\r\n" \
	" bh=K994LBKZxiIkvqpM801QszUnTDNcRd3Tth9oC7B/yvY=;\r\n" \
	" b=QuXTcGubaCzA+O7NW3ND0cSlWDEAmFU3atWBG47iy1M6GEvUUFSnNLPpA4yOnCypaXomR\r\n" \
	" nCEX7fTsb/dp5n/y3MQVFAEKQTKArKrlaGNndsPm3qqk/lKn5vzqldcCUpp1RXdRUVsyKph\r\n" \
	" /d9JPHn2Zn3ygMbW/8mIeJnGppjo6qA=\r\n" \
	"ARC-Authentication-Results: i=2; lists.example; arc=pass\r\n" \
	"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=one.example; s=s; t=1699990000;\r\n" \
	" b=BeTTeoKnQJzfrFx8VqZhrGa1l9nRlp2AhcOX6Rrq/NPsq/FYFQOAml6u6+BG6VP0KV8M2\r\n" \
	" eoZkv4+5aFRnqZW9MfP5zsWHBeZKhOROkebcrpigXHgBAjO3oyfeDCmwFHFI5pGfqJJ1Ftb\r\n" \
	" 2ZM5rBkf77iDti+TA31plbhliNKY4gw=\r\n" \
	"ARC-Message-Signature: i=1; a=rsa-sha256; c=simple/simple; d=one.example;\r\n" \
	" s=s; t=1699990000; h=from : to : subject : date : message-id : from :\r\n" \
	" x-none; bh=K994LBKZxiIkvqpM801QszUnTDNcRd3Tth9oC7B/yvY=;\r\n" \
	" b=LwcevhYuUyb2j1bGwKZnnzPHQCmBBRVKLLPbHm2fqSYH4ZKmYiJLScOvHRADZiO+XJ0Ri\r\n" \
	" HMwfU3l3hqNp9Y6J9JKZECDk7aykjFb1omU4eDDFB6FThggzEK/yiFip+gDuQSxf++zdGaM\r\n" \
	" iw0JshMh/NojjwuSF+HraUagBpu+9AU=\r\n" \
	"ARC-Authentication-Results: i=1; lists.example; spf=pass smtp.mailfrom=one.example;\r\n" \
	"  arc=none\r\n" \
	"From: A  <a@one.example>\r\n" \
	"To:b@two.example\r\n" \
	"Subject: hello\r\n" \
	" \tthere\r\n" \
	"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n" \
	"Message-ID: <1@one.example>\r\n" \
	"\r\n" \
	"Hello \t there \r\n" \
	"\r\n" \
	"  x\r\n" \
	"\r\n" \
	"\r\n"

#define FOREIGN_MIXED \
	"ARC-Seal: i=2; cv=pass; a=rsa-sha256; d=one.example; s=s; t=1699990000;\r\n" \
	" b=yXQOHv5SgyJRUWfq7ZeG/qqlQ9pbcBBJxn/tcZG8zzf1TC9MOq3bYF/x9SjRkiL6iVoev\r\n" \
	" WF1bWIUb+AbQaD7Ubkf9zoSglZxDnzW4ikJPBbkxv+tuywqqwtqyy/WxRhJrhQwSszqVoV5\r\n" \
	" VDSA9Hd9LBPmnHKRfDTRYU5hbWmVONU=\r\n" \
	"ARC-Message-Signature: i=2; a=rsa-sha256; c=simple/simple; d=one.example;\r\n" \
	" s=s; t=1699990000; h=from : to : subject : date : message-id : from :\r\n" \
	" x-none; bh=K994LBKZxiIkvqpM801QszUnTDNcRd3Tth9oC7B/yvY=;\r\n" \
	" b=t1W5eDrrIpUUTrNF44j9slW1nMlys1hwS/oqjJysK4kDQBnWBci7vZhE3LryZ/P1vwhVC\r\n" \
	" 3oLOUrt5HfIsu+4ZAQGLnRjohsDJW0ZkPA1Zz8cd3mZB6/ZHXDIzGoywRrSJ/c7thC6NFWZ\r\n" \
	" GXWXs7n/Gw5UpoUjqCiD5qcTXN0jJBw=\r\n" \
	"ARC-Authentication-Results: i=2; lists.example; arc=pass\r\n" \
	"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=one.example; s=s; t=1699990000;\r\n" \
	" b=QZjhfscG+HBndNBG5iI87qQNHR+vYVwCZieHk7kWS93NEgFv/EWLtstVQDTSKl5x9dltq\r\n" \
	" UExjiKvqQ0Rzwcca/3lDP+ldbdRC58U7H+t0E54Bh1Zn47gKL98DBzPWdaIkRvRGKrmwIWW\r\n" \
	" cT9cZ7k0JFYLr2zgsMBJraIS0jdVr8c=\r\n" \
	"ARC-Message-Signature: i=1; a=rsa-sha256; c=simple/relaxed;\r\n" \
	" d=one.example; s=s; t=1699990000; h=from : to : subject : date :\r\n" \
	" message-id : from : x-none;\r\n" \
	" bh=aCrM7Yte6hSQiCMAQorrSx8PEh4zJElMi08gUlTnZIk=;\r\n" \
	" b=ELXivBIz9owBWBI3erI2eUuSulf4nzh+c06mZTbx61ox4BQ2bDcmr5MhvrO3ognaNfmS2\r\n" \
	" FkP3N/R/lQ45OQ7hmP7CMYm8zwti+NDtdsBjdxEi6zhc9/PCfNpybehcsMdvKuWbuK9ToWY\r\n" \
	" ITJBXKuMNlGCgTE/USpMAiVfY+gnpPA=\r\n" \
	"ARC-Authentication-Results: i=1; lists.example; spf=pass smtp.mailfrom=one.example;\r\n" \
	"  arc=none\r\n" \
	"From: A  <a@one.example>\r\n" \
	"To:b@two.example\r\n" \
	"Subject: hello\r\n" \
	" \tthere\r\n" \
	"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n" \
	"Message-ID: <1@one.example>\r\n" \
	"\r\n" \
	"Hello \t there \r\n" \
	"\r\n" \
	"  x\r\n" \
	"\r\n" \
	"\r\n"

#endif
